//! Proofs of every small tree against the recursion of RFC 6962, written naively.

use karvan_evidence::proof::{
    TREE_SIZE_MAX, consistency, inclusion, verify_consistency, verify_inclusion,
};
use karvan_evidence::tree::{Tree, empty_root, leaf_hash, node_hash, root_at};
use karvan_types::Digest;
use proptest::prelude::*;

use crate::tiles::MemoryLog;

/// Every (m, n) up to this size is tried; beyond it, a random choice.
const EXHAUSTIVE_MAX: usize = 90;

fn split(count: usize) -> usize {
    count.next_power_of_two() / 2
}

fn mth(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&mth(left), &mth(right))
        }
    }
}

fn path(index: usize, leaves: &[Digest]) -> Vec<Digest> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut inner, sibling) = if index < left.len() {
        (path(index, left), mth(right))
    } else {
        (path(index - left.len(), right), mth(left))
    };
    inner.push(sibling);
    inner
}

fn subproof(old: usize, leaves: &[Digest], whole: bool) -> Vec<Digest> {
    if old == leaves.len() {
        return if whole { Vec::new() } else { vec![mth(leaves)] };
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut inner, sibling) = if old <= left.len() {
        (subproof(old, left, whole), mth(right))
    } else {
        (subproof(old - left.len(), right, false), mth(left))
    };
    inner.push(sibling);
    inner
}

fn check(log: &MemoryLog, old: usize, new: usize) {
    let leaves = &log.leaves[..new];
    let (m, n) = (old as u64, new as u64);
    let (old_root, new_root) = (mth(&leaves[..old]), mth(leaves));
    assert_eq!(root_at(n, log), Ok(new_root), "root of {n}");
    let proof = consistency(log, m, n).expect("in the tree");
    if old > 0 {
        assert_eq!(proof, subproof(old, leaves, true), "consistency {m} {n}");
    }
    verify_consistency(&proof, m, &old_root, n, &new_root).expect("good proof");
    if old == new {
        return;
    }
    let proof = inclusion(log, m, n).expect("in the tree");
    assert_eq!(proof, path(old, leaves), "inclusion {m} {n}");
    verify_inclusion(&proof, m, n, &leaves[old], &new_root).expect("good proof");
}

#[test]
fn every_small_tree() {
    let log = MemoryLog::numbered(u32::try_from(EXHAUSTIVE_MAX).expect("small"));
    for new in 0..=EXHAUSTIVE_MAX {
        for old in 0..=new {
            check(&log, old, new);
        }
    }
}

#[test]
fn trees_around_tile_borders() {
    let log = MemoryLog::numbered(66_100);
    for new in [255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 66_100] {
        for old in [1, 255, 256, 257, 512, 65_536] {
            if old <= new {
                check(&log, old, new);
            }
        }
    }
}

#[test]
fn a_tree_resumed_at_any_size_goes_on_alike() {
    let log = MemoryLog::numbered(1_100);
    let mut full = Vec::new();
    for size in [0_usize, 1, 255, 256, 257, 512, 700, 1_099, 1_100] {
        let mut tree = Tree::resume(size as u64, &log).expect("tiles exist");
        assert_eq!(tree.root(), mth(&log.leaves[..size]));
        for leaf in &log.leaves[size..] {
            tree.push(*leaf, &mut full);
        }
        assert_eq!((tree.size(), tree.root()), (1_100, log.tree.root()));
    }
}

#[test]
fn a_proof_fits_only_its_own_question() {
    let log = MemoryLog::numbered(40);
    let root = mth(&log.leaves);
    let other = leaf_hash(b"other");
    for index in 0..40 {
        let proof = inclusion(&log, index, 40).expect("in the tree");
        let leaf = &log.leaves[usize::try_from(index).expect("small")];
        for position in 0..40 {
            let fits = verify_inclusion(&proof, position, 40, leaf, &root).is_ok();
            assert_eq!(fits, position == index);
        }
        assert!(verify_inclusion(&proof, index, 40, &other, &root).is_err());
        assert!(verify_inclusion(&proof[1..], index, 40, leaf, &root).is_err());
        let longer = [proof.as_slice(), &[other]].concat();
        assert!(verify_inclusion(&longer, index, 40, leaf, &root).is_err());
        let old_root = mth(&log.leaves[..usize::try_from(index).expect("small")]);
        let proof = consistency(&log, index, 40).expect("in the tree");
        for place in 0..proof.len() {
            let mut bad = proof.clone();
            bad[place] = other;
            assert!(verify_consistency(&bad, index, &old_root, 40, &root).is_err());
        }
        let longer = [proof.as_slice(), &[other]].concat();
        assert!(verify_consistency(&longer, index, &old_root, 40, &root).is_err());
        if index > 0 {
            assert!(verify_consistency(&proof, index, &other, 40, &root).is_err());
            assert!(verify_consistency(&proof, index, &old_root, 40, &other).is_err());
        }
    }
}

#[test]
fn questions_outside_the_tree_are_refused() {
    let log = MemoryLog::numbered(5);
    let zero = Digest::default();
    assert!(inclusion(&log, 5, 5).is_err() && inclusion(&log, 0, 0).is_err());
    assert!(inclusion(&log, 0, u64::MAX).is_err() && consistency(&log, 6, 5).is_err());
    assert!(consistency(&log, 1, u64::MAX).is_err() && root_at(u64::MAX, &log).is_err());
    for (index, size) in [(5, 5), (0, 0), (0, TREE_SIZE_MAX + 1), (u64::MAX, u64::MAX)] {
        assert!(verify_inclusion(&[zero; 64], index, size, &zero, &zero).is_err());
        assert!(verify_consistency(&[zero; 64], index.max(1), &zero, size, &zero).is_err());
    }
    assert!(verify_consistency(&[zero], 0, &zero, 5, &zero).is_err());
    assert!(verify_consistency(&[], 5, &zero, 5, &leaf_hash(b"")).is_err());
    assert!(verify_consistency(&[], 3, &zero, 5, &zero).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_pairs(new in 1_usize..600, fraction in 0.0_f64..1.0) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 600")]
        let old = (new as f64 * fraction) as usize;
        check(&MemoryLog::numbered(600), old, new);
    }

    #[test]
    fn verifying_anything_never_panics(
        path in prop::collection::vec(any::<[u8; 32]>().prop_map(Digest), 0..70),
        index: u64,
        size: u64,
    ) {
        let zero = Digest::default();
        prop_assert!(verify_inclusion(&path, index, size, &zero, &zero).is_err());
        prop_assert!(verify_inclusion(&path, index >> 1, size >> 1, &zero, &zero).is_err());
        let _ = verify_consistency(&path, index >> 1, &zero, size >> 1, &zero);
    }
}
