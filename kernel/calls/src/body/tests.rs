use std::path::Path;

use futures_util::stream;
use http_body_util::StreamBody;
use karvan_system::memory::MemoryDisk;
use sha2::{Digest as _, Sha512};

use super::*;

fn spool(disk: &MemoryDisk) -> Spool {
    Spool::open(Path::new("node/spool"), Arc::new(disk.clone())).expect("opens")
}

fn files(disk: &MemoryDisk) -> usize {
    disk.list(Path::new("node/spool")).expect("lists").len()
}

fn pieces(pieces: Vec<io::Result<Bytes>>) -> Body {
    StreamBody::new(stream::iter(pieces.into_iter().map(|piece| piece.map(Frame::data))))
        .boxed_unsync()
}

async fn collected(whole: &Whole) -> Bytes {
    whole.to_body().collect().await.expect("it is here").to_bytes()
}

#[tokio::test]
async fn files_keep_to_one_bound_together() {
    let disk = MemoryDisk::new();
    let spool = Spool { bytes_max: 3 * MEMORY_BYTES_MAX as u64, ..spool(&disk) };
    let long = || pieces(vec![Ok(Bytes::from(vec![7; MEMORY_BYTES_MAX + 1]))]);
    let read = || spool.read(long(), CALL_BYTES_MAX, false);
    let (first, second) = (read().await.expect("room"), read().await.expect("room"));
    assert!(matches!(read().await, Err(BodyError::NoRoom)));
    assert_eq!(files(&disk), 2);
    let short = pieces(vec![Ok(Bytes::from(vec![7; MEMORY_BYTES_MAX]))]);
    assert!(spool.read(short, CALL_BYTES_MAX, false).await.is_ok(), "memory is no file");
    drop(first);
    let third = read().await.expect("room again");
    drop((second, third));
    assert_eq!((files(&disk), spool.held.load(Ordering::Relaxed)), (0, 0));
}

#[tokio::test]
async fn bodies_come_out_as_they_went_in_and_leave_no_file() {
    let disk = MemoryDisk::new();
    let spool = spool(&disk);
    for sizes in [
        vec![],
        vec![0],
        vec![5],
        vec![0, 5, 0, 7],
        vec![MEMORY_BYTES_MAX],
        vec![MEMORY_BYTES_MAX - 1, 1],
        vec![MEMORY_BYTES_MAX, 1],
        vec![1, 1, MEMORY_BYTES_MAX, 3, CHUNK_BYTES],
    ] {
        let content: Vec<Bytes> = sizes.iter().map(|size| Bytes::from(vec![7; *size])).collect();
        let expected = content.concat();
        let body = pieces(content.into_iter().map(Ok).collect());
        let whole = spool.read(body, CALL_BYTES_MAX, true).await.expect("it fits");
        assert_eq!((whole.size, whole.digest), (expected.len() as u64, Digest::of(&expected)));
        let hash = (!expected.is_empty()).then(|| Sha512::digest(&expected).into());
        assert_eq!(whole.hash, hash, "{sizes:?}");
        let in_file = expected.len() > MEMORY_BYTES_MAX;
        assert_eq!((whole.in_memory().is_none(), files(&disk)), (in_file, usize::from(in_file)));
        assert_eq!(whole.to_body().size_hint().exact(), Some(whole.size));
        for _ in 0..2 {
            assert_eq!(collected(&whole).await, expected, "{sizes:?}");
        }
        // A body that is being sent keeps its file.
        let sending = whole.to_body();
        drop(whole);
        assert_eq!(files(&disk), usize::from(in_file));
        assert_eq!(sending.collect().await.expect("it is here").to_bytes(), expected);
        assert_eq!(files(&disk), 0);
    }
}

#[tokio::test]
async fn what_is_too_long_or_breaks_off_is_refused_and_leaves_no_file() {
    let disk = MemoryDisk::new();
    let spool = spool(&disk);
    let large = || Ok(Bytes::from(vec![0; MEMORY_BYTES_MAX]));
    let broken = || Err(io::Error::other("gone"));
    for (body, bytes_max, too_long) in [
        (full(vec![0; 11]), 10, true),
        (pieces(vec![Ok("hello ".into()), Ok("world".into())]), 10, true),
        (pieces(vec![large(), large(), large()]), 2 * MEMORY_BYTES_MAX as u64, true),
        (pieces(vec![Ok("hello".into()), broken()]), 10, false),
        (pieces(vec![large(), large(), broken()]), CALL_BYTES_MAX, false),
    ] {
        let error = spool.read(body, bytes_max, false).await.err().expect("refused");
        assert_eq!(matches!(error, BodyError::TooLong(_)), too_long, "{error}");
        assert_eq!(matches!(error, BodyError::Broken(_)), !too_long, "{error}");
        assert_eq!(files(&disk), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_given_up() {
    let disk = MemoryDisk::new();
    let spool = spool(&disk);
    // Nothing comes any more; or a byte comes every so often, for ever.
    let silent = stream::pending::<io::Result<Frame<Bytes>>>();
    let drip = stream::unfold((), |()| async {
        tokio::time::sleep(PIECE_TIMEOUT / 2).await;
        Some((Ok::<_, io::Error>(Frame::data(Bytes::from("x"))), ()))
    });
    let begun = tokio::time::Instant::now();
    let body = StreamBody::new(silent).boxed_unsync();
    let silent = spool.read(body, CALL_BYTES_MAX, false).await;
    assert!(matches!(silent, Err(BodyError::Slow)));
    assert_eq!(begun.elapsed(), PIECE_TIMEOUT);
    let begun = tokio::time::Instant::now();
    let body = StreamBody::new(drip).boxed_unsync();
    assert!(matches!(spool.read(body, CALL_BYTES_MAX, false).await, Err(BodyError::Slow)));
    assert_eq!(begun.elapsed(), BODY_TIMEOUT);
}

#[test]
fn what_an_earlier_process_left_goes_at_start() {
    let disk = MemoryDisk::new();
    let left = spool(&disk).file().expect("a file");
    std::mem::forget(left);
    assert_eq!(files(&disk), 1);
    spool(&disk);
    assert_eq!(files(&disk), 0);
}
