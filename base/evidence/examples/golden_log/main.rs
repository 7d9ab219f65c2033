//! Writes the golden log into a folder: `cargo run -p karvan-evidence --example golden_log -- DIR`.

mod files;
#[path = "../../tests/it/keys.rs"]
mod keys;

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("name the folder to write the log into"));
    };
    for (name, content) in files::golden_log() {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, content)?;
    }
    Ok(())
}
