//! Random bytes.

/// Fills buffers with random bytes fit for keys, salts and identifiers.
pub trait Entropy: Send + Sync {
    /// Overwrites `buffer` with random bytes. A source that cannot do so must end the process:
    /// continuing with predictable bytes would void every signature made later.
    fn fill(&self, buffer: &mut [u8]);
}

impl dyn Entropy + '_ {
    /// Returns `N` random bytes.
    pub fn array<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

/// The operating system's generator, through the cryptography library.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        if aws_lc_rs::rand::fill(buffer).is_err() {
            std::process::abort();
        }
    }
}
