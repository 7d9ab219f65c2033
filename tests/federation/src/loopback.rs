//! A node of a test nation on loopback, for programs of others: what such examples share.
//!
//! Everything of the node is made anew in a temporary folder and ends with it: nation, keys, list.
//! Its callers are recognised by a word that anybody can say, so such a node must never stand
//! beside a real one: [`Options::read`] refuses every option that it does not know (`--dir`,
//! `--config`), and every folder that holds material of a node.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

/// The variable that names the folder of a real node.
const HOME_VARIABLE: &str = "KARVAN_DIR";
/// What `karvan init` puts into a node's folder, and what a node keeps there.
const MATERIAL: [&str; 6] = ["node.toml", "nation.json", "root.json", "lists", "keys", "data"];

/// The options of such a program: `--name value`, each once.
#[derive(Debug)]
pub struct Options(BTreeMap<String, String>);

impl Options {
    /// Reads the options of this process, and sees that no real node is near.
    pub fn read(known: &[&str]) -> Result<Self> {
        let near = [std::env::current_dir().ok(), std::env::var_os(HOME_VARIABLE).map(Into::into)];
        for folder in near.iter().flatten() {
            refuse_material(folder)?;
        }
        Self::of(std::env::args().skip(1), known)
    }

    fn of(arguments: impl Iterator<Item = String>, known: &[&str]) -> Result<Self> {
        let (mut arguments, mut options) = (arguments, BTreeMap::new());
        while let Some(name) = arguments.next() {
            let allowed = || known.join(", ");
            ensure!(
                known.contains(&name.as_str()),
                "`{name}` is no option: this node lives in a world of its own and reads no \
                 configuration, list or key; give {}",
                allowed()
            );
            let value = arguments.next().with_context(|| format!("give a value to {name}"))?;
            if options.insert(name.clone(), value).is_some() {
                bail!("{name} is given twice; give it once");
            }
        }
        Ok(Self(options))
    }

    /// Returns the value of an option.
    pub fn get(&self, name: &str) -> Result<&str> {
        self.0.get(name).map(String::as_str).with_context(|| format!("name {name}"))
    }

    /// Returns an option that is a port.
    pub fn port(&self, name: &str) -> Result<u16> {
        self.get(name)?.parse().with_context(|| format!("{name} is a port of loopback"))
    }
}

/// Refuses a folder in which there is anything of a node.
pub fn refuse_material(folder: &Path) -> Result<()> {
    let found: Option<PathBuf> =
        MATERIAL.iter().map(|name| folder.join(name)).find(|path| path.exists());
    if let Some(found) = found {
        bail!(
            "{} belongs to a node: a node for trials does not start beside it; run it elsewhere, \
             without {HOME_VARIABLE}",
            found.display()
        );
    }
    Ok(())
}

/// Serves routes on a port of loopback until that fails.
pub async fn serve(port: u16, routes: axum::Router) -> Result<()> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(routes.clone());
        tokio::spawn(async move {
            let http = hyper::server::conn::http1::Builder::new();
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(arguments: &[&str], told: Option<&str>) {
        let arguments = arguments.iter().map(|&argument| argument.to_owned());
        let read = Options::of(arguments, &["--port", "--home"]);
        match (read, told) {
            (Ok(options), None) => assert_eq!(options.port("--port").ok(), Some(8282)),
            (Err(error), Some(told)) => assert!(error.to_string().contains(told), "{error}"),
            (read, told) => panic!("{read:?}, expected {told:?}"),
        }
    }

    #[test]
    fn only_its_own_options_are_taken() {
        check(&["--port", "8282", "--home", "x"], None);
        check(&["--port", "8282", "--config", "node.toml"], Some("world of its own"));
        check(&["--dir", "pk"], Some("`--dir` is no option"));
        check(&["--port"], Some("give a value"));
        check(&["--port", "1", "--port", "2"], Some("twice"));
    }

    #[test]
    fn it_does_not_start_beside_a_real_node() {
        for name in MATERIAL {
            let folder = tempfile::tempdir().expect("a folder");
            refuse_material(folder.path()).expect("an empty folder is no node's");
            std::fs::write(folder.path().join(name), "{}").expect("written");
            let refused = refuse_material(folder.path()).expect_err("it belongs to a node");
            assert!(refused.to_string().contains(name), "{refused}");
        }
    }
}
