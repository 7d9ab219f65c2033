//! Tokens of the local interface: random text for the holder, its digest for the node.

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use karvan_exchange::tokens::Token;
use karvan_system::{Entropy, SystemEntropy};
use karvan_types::{Digest, ErrorKind, MemberId, json};

use super::{Home, pretty};
use crate::failure::Failure;
use crate::files;

/// Longest file of tokens, in bytes.
const TOKENS_BYTES_MAX: u64 = 1024 * 1024;

/// Who gets a token and for what.
#[derive(Clone, Debug)]
pub(crate) struct NewToken {
    /// Name of the person or program; also of the file.
    pub(crate) user: String,
    /// For whom the holder acts.
    pub(crate) member: MemberId,
    /// Such as `documents.send`; `*` is all.
    pub(crate) permissions: Vec<String>,
}

/// Makes a token. A running node knows it after its next start.
pub(crate) fn add_token(home: &Home, new: &NewToken) -> Result<()> {
    let is_name = (1..=64).contains(&new.user.len())
        && !new.user.starts_with('.')
        && new.user.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if !is_name {
        let text = format!("`{}` is no user name", new.user);
        let hint = "use up to 64 letters, digits, dots, underscores and hyphens";
        return Err(Failure::new(ErrorKind::Invalid, text).hint(hint).into());
    }
    let mut tokens = if home.token_file().exists() { read_tokens(home)? } else { Vec::new() };
    if tokens.iter().any(|token| token.user == new.user) {
        let text = format!("{} has a token already", new.user);
        let hint = "take its entry out of tokens.json and remove its file first";
        return Err(Failure::new(ErrorKind::Conflict, text).hint(hint).into());
    }
    let entropy: &dyn Entropy = &SystemEntropy;
    let text = URL_SAFE_NO_PAD.encode(entropy.array::<32>());
    files::write_secret(&home.token(&new.user), format!("{text}\n").as_bytes())?;
    tokens.push(Token {
        sha256: Digest::of(text.as_bytes()),
        member: new.member.clone(),
        user: new.user.clone(),
        permissions: new.permissions.clone(),
    });
    files::write(&home.token_file(), &pretty(&tokens)?)
}

fn read_tokens(home: &Home) -> Result<Vec<Token>> {
    read_token_file(&home.token_file())
}

/// Reads the tokens that a node knows.
pub(crate) fn read_token_file(path: &std::path::Path) -> Result<Vec<Token>> {
    let bytes = files::read(path, TOKENS_BYTES_MAX)?;
    json::from_slice(&bytes).map_err(|error| {
        Failure::config(format!("{} is no list of tokens: {error}", path.display()))
            .hint("make tokens with `karvan init token`")
            .into()
    })
}
