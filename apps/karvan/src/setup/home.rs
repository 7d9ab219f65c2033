//! The folder of one node, as `karvan init` lays it out.

use std::path::{Path, PathBuf};

use karvan_types::Instance;

/// Names the files of the folder; makes none.
#[derive(Clone, Debug)]
pub(crate) struct Home(PathBuf);

impl Home {
    pub(crate) fn new(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    /// The node's configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.0.join("node.toml")
    }

    /// The nation's public part, for the other nation.
    pub(crate) fn nation(&self) -> PathBuf {
        self.0.join("nation.json")
    }

    /// The key file that opens the folder of keys.
    pub(crate) fn unlock(&self) -> PathBuf {
        self.0.join("unlock.key")
    }

    /// The sealed keys.
    pub(crate) fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// The node's certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.0.join("node.crt")
    }

    /// Root and lists, as installed by the operator.
    pub(crate) fn lists(&self) -> PathBuf {
        self.0.join("lists")
    }

    /// The federation root.
    pub(crate) fn federation_root(&self) -> PathBuf {
        self.lists().join("root.json")
    }

    /// A nation's list.
    pub(crate) fn list(&self, nation: Instance) -> PathBuf {
        self.lists().join(format!("list-{nation}.json"))
    }

    /// Signed agreements.
    pub(crate) fn agreements(&self) -> PathBuf {
        self.0.join("agreements")
    }

    /// Tokens as the node knows them.
    pub(crate) fn token_file(&self) -> PathBuf {
        self.0.join("tokens.json")
    }

    /// Tokens as their holders have them.
    pub(crate) fn tokens(&self) -> PathBuf {
        self.0.join("tokens")
    }

    /// One holder's token.
    pub(crate) fn token(&self, user: &str) -> PathBuf {
        self.tokens().join(format!("{user}.token"))
    }

    /// What a running node says about its addresses.
    pub(crate) fn ready(&self) -> PathBuf {
        self.0.join("data").join(crate::node::READY_FILE)
    }
}
