//! `karvan init`: the ceremony at the command line. The acts themselves are in `crate::setup`.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use karvan_system::{Clock as _, SystemClock};
use karvan_trust::ca::expires;
use karvan_types::limits::LIST_BYTES_MAX;
use karvan_types::{ErrorKind, Instance, MemberId, NodeId};
use serde_json::json;

use super::Outcome;
use crate::config::Span;
use crate::failure::Failure;
use crate::files;
use crate::output::Output;
use crate::setup::{self, Material, NewToken, Plan, PlannedMember};

/// Make a nation's or node's material, and the documents that nations sign together.
///
/// On each side once: `init`. One side: `init root` with the other's nation.json. The other:
/// `init countersign`. Both: `init install` with the root and the other's list, then `init
/// agreement` one after the other. Only public files travel: nation.json, root.json, lists and
/// agreements.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "Example:\n  karvan init --dir pk --nation PK --name \"Pakistan Single \
    Window\" --node karachi-1 \\\n    --address node.example.pk:7443 --member \
    PK/GOV/FBR/customs=customs")]
pub(crate) struct Init {
    #[command(subcommand)]
    act: Option<Act>,
    #[command(flatten)]
    new: Option<New>,
}

/// A nation's first node.
#[derive(Args, Debug)]
struct New {
    /// The folder to make.
    #[arg(long)]
    dir: PathBuf,
    /// The nation: two upper-case letters of ISO 3166-1.
    #[arg(long)]
    nation: Instance,
    /// Who runs the nation's list, for people.
    #[arg(long)]
    name: String,
    /// Name of the node within the nation.
    #[arg(long)]
    node: String,
    /// Where other nodes reach it.
    #[arg(long, value_name = "HOST:PORT")]
    address: String,
    /// Where it listens for them, when that is another address.
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<SocketAddr>,
    /// Where the local interface listens, on loopback; port 0 takes a free one.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7480")]
    local: SocketAddr,
    /// Where agencies' systems call services without TLS; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7481")]
    calls: SocketAddr,
    /// A member or subsystem that the node serves, with its roles; may be repeated.
    #[arg(long = "member", value_name = "ID[=ROLE,…][:NAME]", required = true)]
    members: Vec<PlannedMember>,
    /// Seal the keys with the passphrase in this environment variable instead of a key file.
    #[arg(long, value_name = "VARIABLE")]
    passphrase_env: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Draft a federation root of this nation and others, signed by this nation.
    #[command(after_help = "Example:\n  karvan init root --dir pk --with az/nation.json \
        --out root.json")]
    Root(Root),
    /// Sign a root that the other side drafted, after showing what it says.
    #[command(after_help = "Example:\n  karvan init countersign --dir az root.json")]
    Countersign(Countersign),
    /// Verify root and lists, and install them for the node.
    #[command(after_help = "Example:\n  karvan init install --dir pk root.json list-AZ.json")]
    Install(Install),
    /// Issue the next version of the nation's list; a running node takes it over.
    #[command(after_help = "Example:\n  karvan init list --dir pk --lifetime 90d")]
    List(List),
    /// Issue a new certificate for the node; a running node takes it over.
    #[command(after_help = "Example:\n  karvan init renew --dir pk")]
    Renew(Dir),
    /// Sign an agreement as a member, after showing what it says.
    #[command(
        after_help = "Example:\n  karvan init agreement --dir pk draft.json --out signed.json"
    )]
    Agreement(Agreement),
    /// Make a token for a person or program; a running node knows it after SIGHUP.
    #[command(after_help = "Example:\n  karvan init token --dir pk --user amina \
        --member PK/GOV/FBR/customs --permission customs.read")]
    Token(Token),
}

#[derive(Args, Debug)]
struct Dir {
    /// Folder that `karvan init` made.
    #[arg(long, env = "KARVAN_DIR")]
    dir: PathBuf,
}

#[derive(Args, Debug)]
struct Root {
    #[command(flatten)]
    at: Dir,
    /// The other nation's public part; may be repeated.
    #[arg(long, value_name = "FILE", required = true)]
    with: Vec<PathBuf>,
    /// Where to write the root.
    #[arg(long, value_name = "FILE", default_value = "root.json")]
    out: PathBuf,
}

#[derive(Args, Debug)]
struct Countersign {
    #[command(flatten)]
    at: Dir,
    /// The root; replaced by the countersigned one unless --out is given.
    root: PathBuf,
    /// Where to write the countersigned root.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Sign without asking.
    #[arg(long)]
    yes: bool,
}

#[derive(Args, Debug)]
struct Install {
    #[command(flatten)]
    at: Dir,
    /// The root, signed by every nation in it.
    root: PathBuf,
    /// Lists of the nations; this folder's own is there already.
    lists: Vec<PathBuf>,
}

#[derive(Args, Debug)]
struct List {
    #[command(flatten)]
    at: Dir,
    /// How long the list counts.
    #[arg(long, value_name = "DURATION", default_value = "30d")]
    lifetime: Span,
}

#[derive(Args, Debug)]
pub(super) struct Agreement {
    #[command(flatten)]
    at: Dir,
    /// The draft, or the document that the other side has signed.
    draft: PathBuf,
    /// The member that signs, when several could.
    #[arg(long)]
    member: Option<MemberId>,
    /// Where to write the signed document for the other side, beside the node's own folder.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Sign without asking.
    #[arg(long)]
    yes: bool,
}

#[derive(Args, Debug)]
struct Token {
    #[command(flatten)]
    at: Dir,
    /// Name of the person or program.
    #[arg(long)]
    user: String,
    /// For whom the holder acts.
    #[arg(long)]
    member: MemberId,
    /// A permission such as documents.read; may be repeated; `*` is all.
    #[arg(long = "permission", value_name = "PERMISSION", required = true)]
    permissions: Vec<String>,
}

pub(crate) fn run(command: Init, output: Output) -> Result<Outcome> {
    match (command.act, command.new) {
        (None, Some(new)) => create(new, output)?,
        (Some(Act::Root(command)), _) => root(&command, output)?,
        (Some(Act::Countersign(command)), _) => countersign(&command, output)?,
        (Some(Act::Install(command)), _) => install(&command, output)?,
        (Some(Act::List(command)), _) => list(&command, output)?,
        (Some(Act::Renew(command)), _) => renew(&command, output)?,
        (Some(Act::Agreement(command)), _) => agreement(&command, output)?,
        (Some(Act::Token(command)), _) => token(command, output)?,
        (None, None) => return Err(Failure::new(ErrorKind::Invalid, "nothing to make").into()),
    }
    Ok(Outcome::Done)
}

fn create(new: New, output: Output) -> Result<()> {
    let node: NodeId = format!("{}/node/{}", new.nation, new.node).parse().map_err(
        |error: karvan_types::id::InvalidId| Failure::new(ErrorKind::Invalid, error.to_string()),
    )?;
    let plan = Plan {
        nation: new.nation,
        name: new.name,
        node,
        address: new.address,
        listen: new.listen,
        local: new.local,
        calls: new.calls,
        members: new.members,
        passphrase_env: new.passphrase_env,
        customs: None,
    };
    let material = setup::create(&new.dir, &plan, SystemClock.now())?;
    let home = &material.home;
    let list = home.list(plan.nation);
    let value = json!({
        "dir": home.root(), "node": plan.node, "nation": home.nation(), "list": list,
        "config": home.config(),
    });
    output.print(&value, |_| {
        format!(
            "Made the keys, certificate, list and configuration of {} in {}.\n\n\
             For the other side:  {} and {}\n\
             Next: one side drafts the root with `karvan init root`, the other countersigns it.\n\
             After that keep the keys {}#root-1 and {}#list-1, files in {}, off this machine.\n",
            plan.node,
            home.root().display(),
            home.nation().display(),
            list.display(),
            plan.nation,
            plan.nation,
            home.keys().display(),
        )
    })
}

fn read_document(path: &Path) -> Result<Vec<u8>> {
    files::read(path, LIST_BYTES_MAX as u64)
}

fn root(command: &Root, output: Output) -> Result<()> {
    let material = Material::open(&command.at.dir)?;
    let others = command.with.iter().map(|path| setup::read_nation(path));
    let others = others.collect::<Result<Vec<_>>>()?;
    let document = setup::draft_root(&material, &others, SystemClock.now())?;
    files::write(&command.out, &document)?;
    let (_, digest) = setup::read_root(&document)?;
    let value = json!({ "root": command.out, "digest": digest });
    output.print(&value, |_| {
        let out = command.out.display();
        format!(
            "{}\nWrote {out}. Have it signed on the other side: karvan init countersign {out}\n\
             Tell each other the digest by another way than the file.\n",
            describe_root(&document)
        )
    })
}

fn describe_root(document: &[u8]) -> String {
    let (root, digest) = match setup::read_root(document) {
        Ok(read) => read,
        Err(error) => return format!("{error:#}\n"),
    };
    let mut text = format!(
        "federation root number {}\n  digest  {digest}\n  from    {}\n  until   {}\n",
        root.sequence_number, root.issue_date_time, root.next_update
    );
    for nation in &root.nations {
        let keys: Vec<_> = nation.keys.iter().map(|key| key.kid.to_string()).collect();
        let (id, name) = (nation.scheme_territory, &nation.scheme_operator_name);
        let _ = writeln!(text, "  {id}      {name}, keys {}", keys.join(", "));
    }
    text
}

/// Shows what will be signed and waits for a yes.
fn confirm(text: &str, yes: bool) -> Result<()> {
    if yes {
        return Ok(());
    }
    let mut err = std::io::stderr().lock();
    writeln!(err, "{text}")?;
    if std::io::stdin().is_terminal() {
        write!(err, "Sign this? [y/N] ")?;
        err.flush()?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        if matches!(answer.trim(), "y" | "Y" | "yes") {
            return Ok(());
        }
    }
    let hint = "compare the digest with the other side, then sign with --yes";
    Err(Failure::new(ErrorKind::Forbidden, "not signed: nobody said yes").hint(hint).into())
}

fn countersign(command: &Countersign, output: Output) -> Result<()> {
    let material = Material::open(&command.at.dir)?;
    let document = read_document(&command.root)?;
    let (_, digest) = setup::read_root(&document)?;
    confirm(&describe_root(&document), command.yes)?;
    let signed = setup::countersign_root(&material, &document)?;
    let out = command.out.as_ref().unwrap_or(&command.root);
    files::write(out, &signed)?;
    output.print(&json!({ "root": out, "digest": digest }), |_| {
        format!(
            "{}\nSigned for {}: {}\n",
            describe_root(&signed),
            material.instance(),
            out.display()
        )
    })
}

fn install(command: &Install, output: Output) -> Result<()> {
    let material = Material::open(&command.at.dir)?;
    let root = read_document(&command.root)?;
    let lists = command.lists.iter().map(|path| read_document(path)).collect::<Result<Vec<_>>>()?;
    let nations = setup::install(&material, &root, &lists, SystemClock.now())?;
    let value = json!({ "folder": material.home.lists(), "lists": nations });
    output.print(&value, |_| {
        let names: Vec<_> = nations.iter().map(ToString::to_string).collect();
        format!(
            "{}\nInstalled; the lists of {} count now.\nNext: karvan node --config {}\n",
            describe_root(&root),
            names.join(" and "),
            material.home.config().display()
        )
    })
}

fn list(command: &List, output: Output) -> Result<()> {
    let material = Material::open(&command.at.dir)?;
    let lifetime: Duration = command.lifetime.duration();
    let (list, _) = setup::issue_list(&material, lifetime, SystemClock.now())?;
    let path = material.home.list(material.instance());
    let value = json!({
        "list": path, "number": list.sequence_number, "until": list.next_update,
    });
    output.print(&value, |_| {
        format!(
            "Issued list {} number {}, counting until {}: {}\n",
            list.scheme_territory,
            list.sequence_number,
            list.next_update,
            path.display()
        )
    })
}

fn renew(command: &Dir, output: Output) -> Result<()> {
    let material = Material::open(&command.dir)?;
    let certificate = setup::renew_certificate(&material, SystemClock.now())?;
    let (path, ends) = (material.home.certificate(), expires(&certificate)?);
    output.print(&json!({ "certificate": path, "until": ends }), |_| {
        format!("Issued a certificate until {ends}: {}\n", path.display())
    })
}

pub(super) fn agreement(command: &Agreement, output: Output) -> Result<()> {
    let material = Material::open(&command.at.dir)?;
    let draft = setup::read_agreement(&read_document(&command.draft)?)?;
    let text = crate::agreements::describe(&draft.agreement, draft.digest);
    confirm(&text, command.yes)?;
    let signed = setup::sign_agreement(&material, &draft, command.member.as_ref())?;
    if let Some(out) = &command.out {
        files::write(out, &signed)?;
    }
    let folder = material.home.agreements();
    let value = json!({
        "id": draft.agreement.id, "version": draft.agreement.version, "digest": draft.digest,
        "folder": folder,
    });
    output.print(&value, |_| {
        format!(
            "{text}\nSigned; it is in {} and counts once the other side has signed too.\n\
             A node reads its agreements when it starts.\n",
            folder.display()
        )
    })
}

fn token(command: Token, output: Output) -> Result<()> {
    let material = Material::open(&command.at.dir)?;
    let Token { user, member, permissions, .. } = command;
    let new = NewToken { user, member, permissions };
    setup::add_token(&material.home, &new)?;
    let path = material.home.token(&new.user);
    output.print(&json!({ "user": new.user, "file": path }), |_| {
        format!("{} acts for {} with the token in {}\n", new.user, new.member, path.display())
    })
}
