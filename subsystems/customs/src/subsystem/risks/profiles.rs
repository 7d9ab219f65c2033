//! Risk profiles at a running node: import, and what is in force.

use karvan_store::{Range, Read};
use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{Digest, ErrorKind};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::Customs;
use super::super::answer::refuse;
use super::super::operate::{must_act_for, read, signed_by};
use super::super::show::json_of;
use super::{LISTED, LISTED_MAX, draws, refused};
use crate::journal::note;
use crate::risk::Profile;
use crate::risk::record::{Period, ProfileVersion};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Importing {
    text: String,
}

/// Puts a profile of this nation into force. What was scored stays as it is until it is scored
/// anew.
pub(in crate::subsystem) fn import(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let input: Importing = read("risk-import", input)?;
    let profile = Profile::parse(&input.text).map_err(|problems| refused(&problems))?;
    let nation = customs.config.nation();
    if profile.nation != nation.as_str() {
        let text = format!("this is the profile of {}; import that of {nation}", profile.nation);
        return Err(refuse(ErrorKind::Invalid, "risk-profile", text));
    }
    let earlier: Vec<ProfileVersion> = cx.tx.select(&Range::all(LISTED_MAX).reversed())?;
    let in_program = Profile::shipped(nation.as_str());
    let in_program = in_program.and_then(|text| Profile::parse(text).ok());
    let known = earlier.iter().map(|old| (old.version.as_str(), old.digest));
    let known = known.chain(in_program.iter().map(|old| (old.version.as_str(), old.digest)));
    let is_taken =
        |(name, digest): (&str, Digest)| name == profile.version && digest != profile.digest;
    if known.into_iter().any(is_taken) {
        let text = format!(
            "version `{}` is here with another content; give the changed file a new name",
            profile.version
        );
        return Err(refuse(ErrorKind::Conflict, "risk-profile", text));
    }
    let duplicate = earlier.first().is_some_and(|newest| newest.digest == profile.digest);
    let by = signed_by(caller);
    if !duplicate {
        let (version, digest) = (profile.version.clone(), profile.digest);
        let number = cx.tx.next("customs_risk_profile")?;
        let text = format!(
            "risk profile {version} imported: {} rules, SHA-256 {digest}",
            profile.rules.len()
        );
        note(cx.tx, cx.now, "risk profile", &by, text)?;
        cx.tx.add(&ProfileVersion { number, version, digest, at: cx.now, by, text: input.text })?;
    }
    Ok(json!({
        "version": profile.version,
        "digest": profile.digest,
        "rules": profile.rules.len(),
        "duplicate": duplicate,
    }))
}

/// Shows the profile in force, its versions and the periods of the draw.
pub(in crate::subsystem) fn profile(
    customs: &Customs,
    view: &dyn Read,
    input: Value,
) -> Result<Value, Rejection> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    let Nothing {} = read("risk-profile", input)?;
    let versions: Vec<ProfileVersion> = view.select(&Range::all(LISTED).reversed())?;
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| {
            json!({
                "number": version.number,
                "version": version.version,
                "digest": version.digest,
                "at": version.at,
                "by": version.by,
            })
        })
        .collect();
    let periods: Vec<Period> = view.select(&Range::all(LISTED).reversed())?;
    let periods: Vec<Value> = periods.iter().map(draws::public).collect();
    let profile = customs.profile(view)?;
    Ok(json!({
        "profile": profile.as_deref().map(json_of),
        "imported": versions,
        "periods": periods,
    }))
}
