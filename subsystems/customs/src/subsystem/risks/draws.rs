//! The random draw at a running node: commit before a period, reveal after it.
//!
//! The commitment goes to the partner as a document, so both evidence logs hold it, each log is
//! witnessed by the other side, and the partner's receipt shows the time. The seed comes from the
//! caller and is stored here; no operation shows it before the period has ended.

use karvan_store::{Range, Record as _, Tx};
use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{Date, ErrorKind, ExchangeId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::apply::Effect;
use super::super::operate::{must_act_for, read, signed_by};
use super::super::show::json_of;
use super::super::{Customs, answer};
use crate::journal::{MessageRecord, note};
use crate::matching::local_date;
use crate::messages::text::date;
use crate::messages::{COMMITMENT_TYPE_CODE, DrawCommitment, FunctionCode, Header, Message};
use crate::risk::draw::{DRAWS_MAX, Drawn, Revealed, Seed, Terms};
use crate::risk::record::{Period, RiskRecord};

use answer::refuse;

/// Longest period, in days.
const PERIOD_DAYS_MAX: i32 = 366;
/// Most periods that are looked at.
const PERIODS_MAX: usize = 1000;
/// Where commitments are noted.
const SUBJECT: &str = "risk draw";

/// Returns the period in which a consignment takes part, by its first day, and whether it is drawn.
pub(super) fn draw(
    tx: &dyn Tx,
    day: Date,
    export: &str,
    exchange: &ExchangeId,
) -> Result<(Option<String>, bool), Rejection> {
    let range = Range::all(1).to(day.to_string()).reversed();
    let found: Option<Period> = tx.select(&range)?.pop();
    Ok(match found.filter(|period| day <= period.terms.until) {
        Some(period) => {
            let drawn = period.terms.draws(export, exchange);
            (Some(period.terms.from.to_string()), drawn)
        }
        None => (None, false),
    })
}

/// Returns what may be known about a period at any time: not the seed, and not the rate.
pub(super) fn public(period: &Period) -> Value {
    json!({
        "from": period.terms.from.to_string(),
        "until": period.terms.until.to_string(),
        "commitment": period.commitment,
        "exchange": period.exchange,
        "at": period.at,
        "by": period.by,
        "revealed": period.revealed,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Committing {
    #[serde(with = "date")]
    from: Date,
    #[serde(with = "date")]
    until: Date,
    seed: Seed,
}

/// Fixes seed and rate of a period and sends their digest to the partner.
pub(in crate::subsystem) fn commit(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    // What was given is not repeated in a refusal: it may hold a seed.
    let Ok(Committing { from, until, seed }) = serde_json::from_value(input) else {
        let text = "give `from` and `until` as YYYY-MM-DD and `seed` as 64 hexadecimal digits";
        return Err(refuse(ErrorKind::Invalid, "bad-input", text));
    };
    let nation = customs.config.nation();
    let today = local_date(cx.now, nation);
    let conflict = |text: String| Err(refuse(ErrorKind::Conflict, "draw-period", text));
    if from <= today {
        return conflict(format!("today is {today}; a period is fixed before its first day"));
    }
    if until < from || (until - from).get_days() >= PERIOD_DAYS_MAX {
        let text = format!("a period has 1 to {PERIOD_DAYS_MAX} days; correct `until`");
        return Err(refuse(ErrorKind::Invalid, "draw-period", text));
    }
    let periods: Vec<Period> = cx.tx.select(&Range::all(PERIODS_MAX).reversed())?;
    let meets = |old: &&Period| old.terms.from <= until && from <= old.terms.until;
    if let Some(old) = periods.iter().find(meets) {
        let text = format!("{} to {} is fixed already", old.terms.from, old.terms.until);
        return conflict(text);
    }
    let Some(profile) = customs.profile(cx.tx)? else {
        let text = "there is no risk profile that says how many are drawn; import one";
        return Err(refuse(ErrorKind::NotFound, "risk-profile", text));
    };
    let per_mille = profile.draw.per_mille;
    let terms = Terms { nation: nation.to_string(), from, until, per_mille, seed };
    let commitment = terms.commitment();
    let reference = answer::next_reference(cx, "CMT")?;
    let header = Header {
        function_code: FunctionCode::Original,
        id: reference.clone(),
        functional_reference_id: reference,
        type_code: COMMITMENT_TYPE_CODE.to_owned(),
        version_id: 1,
        issue_date_time: cx.now,
        agreement_id: customs.config.agreement.clone(),
        sharing_level: customs.config.sharing_level,
    };
    let message = Message::Commitment(Box::new(DrawCommitment { header, from, until, commitment }));
    let (us, them) = (&customs.config.customs, &customs.config.partner);
    let exchange = answer::send(cx, us, them, &message, SUBJECT)?.exchange;
    let by = signed_by(caller);
    let text = format!("draw of {from} to {until} fixed: SHA-256 {commitment}");
    note(cx.tx, cx.now, SUBJECT, &by, text)?;
    let period = Period { terms, commitment, exchange, at: cx.now, by, revealed: None };
    cx.tx.add(&period)?;
    Ok(public(&period))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revealing {
    #[serde(with = "date")]
    from: Date,
}

/// Shows the seed of a period that has ended, with every consignment and how it was treated.
pub(in crate::subsystem) fn reveal(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let input: Revealing = read("risk-reveal", input)?;
    let Some(mut period) = cx.tx.find::<Period>(input.from.to_string())? else {
        let text = format!("no period of the draw begins on {}; list them", input.from);
        return Err(refuse(ErrorKind::NotFound, "draw-period", text));
    };
    let (from, until) = (period.terms.from, period.terms.until);
    let today = local_date(cx.now, customs.config.nation());
    if today <= until {
        let text = format!("the period ends on {until}; its seed is shown from the day after");
        return Err(refuse(ErrorKind::Conflict, "draw-period", text));
    }
    let range = Range { index: Some("by_day"), ..Range::all(DRAWS_MAX) };
    let range = range.from(from.to_string()).to(until.to_string());
    let there = cx.tx.count(RiskRecord::TABLE, &range)?;
    if usize::try_from(there).is_ok_and(|there| there > DRAWS_MAX) {
        let text = format!("{there} consignments are more than {DRAWS_MAX}; fix shorter periods");
        return Err(refuse(ErrorKind::TooLarge, "draw-period", text));
    }
    let records: Vec<RiskRecord> = cx.tx.select(&range)?;
    let own = from.to_string();
    let took_part = records.into_iter().filter(|record| record.period.as_ref() == Some(&own));
    let consignments = took_part
        .map(|record| Drawn {
            export: record.export,
            exchange: record.exchange,
            drawn: record.drawn,
        })
        .collect();
    if period.revealed.is_none() {
        let text = format!("seed of the draw of {from} to {until} revealed");
        note(cx.tx, cx.now, SUBJECT, &signed_by(caller), text)?;
        period.revealed = Some(cx.now);
        cx.tx.save(&period)?;
    }
    let Period { terms, commitment, exchange, .. } = period;
    Ok(json_of(&Revealed { terms, commitment, exchange, consignments }))
}

/// Takes a partner's commitment: it is kept with its exchange, nothing else follows.
pub(in crate::subsystem) fn committed(
    cx: &mut Context<'_>,
    content: &DrawCommitment,
    record: &MessageRecord,
) -> Result<Effect, Rejection> {
    let DrawCommitment { from, until, commitment, .. } = content;
    let by = record.sender.as_str();
    let text = format!("{by} fixed its random checks of {from} to {until}: SHA-256 {commitment}");
    note(cx.tx, cx.now, SUBJECT, by, text)?;
    Ok(Effect::Applied { subject: SUBJECT.to_owned() })
}
