//! What the disk keeps and forgets.

use super::world::SECTOR_BYTES;
use super::*;

fn disk_with(path: &str, bytes: &[u8]) -> (MemoryDisk, Box<dyn DiskFile>) {
    let disk = MemoryDisk::new();
    let dir = Path::new(path).parent().expect("a file in a directory");
    disk.create_dir_all(dir).expect("makes");
    let mut file = disk.open(Path::new(path)).expect("opens");
    file.write_at(0, bytes).expect("writes");
    (disk, file)
}

#[test]
fn a_crash_forgets_what_was_not_synced() {
    let path = Path::new("dir/a");
    // Neither bytes nor name.
    let (disk, _) = disk_with("dir/a", b"lost");
    disk.crash();
    assert!(disk.exists(Path::new("dir")) && !disk.exists(path));
    // Bytes without name.
    let (disk, mut file) = disk_with("dir/a", b"lost");
    file.sync().expect("syncs");
    disk.crash();
    assert!(!disk.exists(path));
    // Name without bytes.
    let (disk, _) = disk_with("dir/a", b"lost");
    disk.sync_dir(Path::new("dir")).expect("syncs");
    disk.crash();
    assert_eq!(disk.read(path).expect("reads"), b"");
    // Both, then more bytes and a rename that are lost again.
    let (disk, mut file) = disk_with("dir/a", b"kept");
    file.sync().expect("syncs");
    disk.sync_dir(Path::new("dir")).expect("syncs");
    file.write_at(2, b"changed").expect("writes");
    file.set_len(3).expect("cuts");
    disk.rename(path, Path::new("dir/b")).expect("renames");
    assert_eq!(disk.read(Path::new("dir/b")).expect("reads"), b"kec");
    disk.crash();
    assert_eq!(disk.list(Path::new("dir")).expect("lists"), ["a"]);
    assert_eq!(disk.read(path).expect("reads"), b"kept");
    assert!(file.sync().is_err(), "a file opened before the crash is dead");
}

#[test]
fn a_torn_crash_keeps_some_sectors() {
    let mut kept = [0; 3];
    for seed in 0..64 {
        let (disk, _) = disk_with("dir/a", &[7; 2 * SECTOR_BYTES]);
        disk.sync_dir(Path::new("dir")).expect("syncs");
        disk.crash_torn(seed);
        let bytes = disk.read(Path::new("dir/a")).expect("reads");
        let whole = |sector: &&[u8]| **sector == [7; SECTOR_BYTES];
        let sectors = bytes.chunks(SECTOR_BYTES).filter(whole).count();
        *kept.get_mut(sectors).expect("at most two sectors") += 1;
    }
    assert!(kept.iter().all(|count| *count > 0), "{kept:?}");
}

#[test]
fn a_torn_crash_keeps_some_names() {
    let dir = Path::new("dir");
    let mut outcomes = std::collections::BTreeSet::new();
    for seed in 0..64 {
        let (disk, mut file) = disk_with("dir/a", b"a");
        file.sync().expect("syncs");
        disk.sync_dir(dir).expect("syncs");
        // One made, one renamed, which is never lost under both names.
        disk.open(Path::new("dir/new")).expect("opens");
        disk.rename(Path::new("dir/a"), Path::new("dir/b")).expect("renames");
        disk.crash_torn(seed);
        outcomes.insert(disk.list(dir).expect("lists").join(" "));
    }
    let want = ["a", "a b", "a b new", "a new", "b", "b new"];
    assert_eq!(outcomes.iter().collect::<Vec<_>>(), want);
}

#[test]
fn what_is_opened_to_be_read_is_never_made() {
    let (disk, _) = disk_with("dir/a", b"read");
    let kind = |path: &str| disk.open_to_read(Path::new(path)).err().map(|error| error.kind());
    assert_eq!(kind("dir/missing"), Some(io::ErrorKind::NotFound));
    assert_eq!(kind("dir"), Some(io::ErrorKind::IsADirectory));
    assert_eq!(disk.files(), [Path::new("dir/a")]);
    let mut bytes = [0; 4];
    let mut file = disk.open_to_read(Path::new("dir/a")).expect("opens");
    assert!(file.write_at(0, b"more").is_err());
    file.read_at(0, &mut bytes).expect("reads");
    assert_eq!(&bytes, b"read");
}

#[test]
fn a_copy_is_another_disk() {
    let (disk, mut file) = disk_with("dir/a", b"old");
    let copy = disk.copy();
    file.write_at(0, b"new").expect("writes");
    copy.crash();
    assert_eq!(copy.read(Path::new("dir/a")).expect("is synced"), b"old");
    assert_eq!(copy.files(), [Path::new("dir/a")]);
    assert_eq!(disk.read(Path::new("dir/a")).expect("reads"), b"new");
}

#[test]
fn replace_is_atomic_at_every_stop() {
    let path = Path::new("dir/a");
    let mut outcomes = Vec::new();
    for operations in 0.. {
        let (disk, mut file) = disk_with("dir/a", b"old");
        file.sync().expect("syncs");
        disk.sync_dir(Path::new("dir")).expect("syncs");
        disk.stop_after(operations);
        let done = disk.replace(path, b"new").is_ok();
        disk.crash();
        let content = disk.read(path).expect("one of both is there");
        assert!(content == b"old" && !done || content == b"new", "{operations}");
        outcomes.push(content);
        if done {
            break;
        }
    }
    assert!(outcomes.len() > 4 && outcomes.first().is_some_and(|old| old == b"old"));
}

#[test]
fn an_empty_directory_can_be_removed() {
    let (disk, mut file) = disk_with("dir/sub/a", b"x");
    let sub = Path::new("dir/sub");
    file.sync().expect("syncs");
    disk.sync_dir(sub).expect("syncs");
    let full = disk.remove(sub).map_err(|error| error.kind());
    assert_eq!(full, Err(io::ErrorKind::DirectoryNotEmpty));
    // Removed, but nothing of it synced: a crash brings all of it back.
    let remove = || {
        disk.remove(&sub.join("a")).expect("removes");
        disk.remove(sub).expect("is empty now");
        assert!(!disk.exists(sub));
    };
    remove();
    disk.crash();
    assert_eq!(disk.read(&sub.join("a")).expect("reads"), b"x");
    // Once the name of the directory is gone for good, so is what was in it.
    remove();
    disk.sync_dir(Path::new("dir")).expect("syncs");
    disk.crash();
    assert!(disk.list(Path::new("dir")).expect("lists").is_empty());
    assert!(!disk.exists(&sub.join("a")));
}

#[test]
fn syncs_fail_on_request() {
    let (disk, mut file) = disk_with("dir/a", b"x");
    disk.fail_syncs(true);
    assert!(file.sync().is_err());
    disk.fail_syncs(false);
    file.sync().expect("works again");
    assert_eq!(disk.syncs(), 1);
}
