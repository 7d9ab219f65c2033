//! Tells the partner our balances each night, compares the partner's with ours, and sends again
//! what the partner lacks.
//!
//! A statement covers the items that were debited since the one before it and those of open cases,
//! of certificates of both nations. It lists the debits that stand, so a difference shows at once
//! which side lacks which result. A difference is answered with our own lines, once: an answer is
//! never answered.
//!
//! Invariants: comparing changes no balance; a result is sent again with its first reference and
//! content, so the partner books it once.
//!
//! Not here: what counts as a difference (`crate::ledger::compare`).

use std::time::Duration;

use karvan_store::{Range, Read};
use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{ErrorKind, ExchangeId, Instance, MemberId, Quantity, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{self, refuse};
use super::apply::{Effect, refused};
use super::operate::{must_act_for, read};
use super::{Customs, ledgers, show};
use crate::certificate::{Certificate, CertificateNumber, Debit, Holding, LedgerItem, holdings};
use crate::claim::ClaimItem;
use crate::decision::DecisionRecord;
use crate::journal::{Closing, MessageRecord, note};
use crate::ledger::{
    COMPARISONS, Case, CaseKind, Comparison, Difference, Finding, PROGRESS_KEY, Progress, Side,
    close_case, compare, open_case, open_cases_of,
};
use crate::messages::{
    CountryId, FunctionCode, Header, LedgerBalance, LedgerBalances, LedgerDebit, Message, Page,
};
use crate::timers::{self, Timer, TimerKind};

/// Journal lines that one statement covers.
const BATCH_LINES: usize = 100;
/// Open cases whose items a statement repeats.
const BATCH_CASES: usize = 100;
/// Debits listed of one item; of more only the newest are.
const LISTED_MAX: usize = 100;
/// Results sent again because of one statement.
const SENT_AGAIN_MAX: u32 = 100;
/// UN/EDIFACT 1001: statement of a balance.
const STATEMENT_TYPE_CODE: &str = "182";
/// Subject of statements.
const SUBJECT: &str = "ledger";
const MILLIS_PER_HOUR: i64 = 3_600_000;
const MILLIS_PER_DAY: i64 = 24 * MILLIS_PER_HOUR;
const DAY: Duration = Duration::from_hours(24);

/// Sees to it that what was debited is told in the coming night.
pub(super) fn arm(customs: &Customs, cx: &mut Context<'_>) -> Result<(), Rejection> {
    let armed = timers::find(cx.tx, TimerKind::Balances, SUBJECT, SUBJECT)?;
    if let Some(every) = customs.config.compare_every() {
        let due = cx.now.plus(every);
        return if armed.is_some_and(|timer| timer.due <= due) {
            Ok(())
        } else {
            set_timer(cx, due)
        };
    }
    if armed.is_some() {
        return Ok(());
    }
    let hour = i64::from(customs.ledger_terms.statement_hour(cx.now.utc_date()));
    let day = cx.now.as_millis().div_euclid(MILLIS_PER_DAY) * MILLIS_PER_DAY;
    let tonight = Timestamp::from_millis(day + hour * MILLIS_PER_HOUR);
    let due = if tonight > cx.now { tonight } else { tonight.plus(DAY) };
    set_timer(cx, due)
}

fn set_timer(cx: &mut Context<'_>, due: Timestamp) -> Result<(), Rejection> {
    Ok(timers::set(cx.tx, &Timer::new(TimerKind::Balances, SUBJECT, SUBJECT, cx.now, due))?)
}

/// Sends the next statement of the night; the next night again while something is open.
pub(super) fn run(customs: &Customs, cx: &mut Context<'_>) -> Result<(), Rejection> {
    if !answer::may_send(customs, cx, LedgerBalances::DOCUMENT_TYPE) {
        // The next debit sets the timer again; what is untold by then is told with it.
        let text = "balances not sent, since no agreement in force allows `LDG`";
        return Ok(note(cx.tx, cx.now, SUBJECT, "clock", text)?);
    }
    let (items, complete) = next(customs, cx)?;
    if !complete {
        let now = cx.now;
        set_timer(cx, now)
    } else if items > 0 {
        arm(customs, cx)
    } else {
        Ok(())
    }
}

/// Sends one statement and notes how far it came; returns how many items it told, and whether the
/// day is complete.
fn next(customs: &Customs, cx: &mut Context<'_>) -> Result<(usize, bool), Rejection> {
    let mut progress: Progress = cx.tx.find(PROGRESS_KEY)?.unwrap_or_default();
    let lines: Vec<Debit> = cx.tx.select(&Range::all(BATCH_LINES).after(progress.line))?;
    let last = lines.len() < BATCH_LINES;
    let mut items: Vec<(String, u32)> = Vec::new();
    let mut add = |certificate: &str, item: u32| {
        if !items.iter().any(|(key, number)| key == certificate && *number == item) {
            items.push((certificate.to_owned(), item));
        }
    };
    for line in &lines {
        add(&line.certificate, line.item);
        progress.line = line.line;
    }
    if last {
        let range = Range::of("by_state", vec!["open".into()], BATCH_CASES);
        for case in cx.tx.select::<Case>(&range)? {
            if !case.kind.is_closed_by_hand() {
                add(&case.certificate, case.item);
            }
        }
    }
    let count = items.len();
    tell(customs, cx, &items, FunctionCode::Original)?;
    cx.tx.save(&progress)?;
    Ok((count, last))
}

/// Sends what our ledger holds of these items to the partner's customs.
fn tell(
    customs: &Customs,
    cx: &mut Context<'_>,
    items: &[(String, u32)],
    function_code: FunctionCode,
) -> Result<Vec<ExchangeId>, Rejection> {
    let mut sent = Vec::new();
    for nation in [customs.config.partner_nation(), customs.config.nation()] {
        let mut balances = Vec::new();
        for (key, item) in items {
            let Some(account) = cx.tx.find::<Certificate>(key.as_str())? else { continue };
            if account.country == nation {
                balances.extend(balance_of(customs, cx.tx, &account, *item)?);
            }
        }
        if balances.is_empty() {
            continue;
        }
        let reference = answer::next_reference(cx, LedgerBalances::DOCUMENT_TYPE)?;
        let header = Header {
            function_code,
            id: reference.clone(),
            functional_reference_id: reference,
            type_code: STATEMENT_TYPE_CODE.to_owned(),
            version_id: 1,
            issue_date_time: cx.now,
            agreement_id: customs.config.agreement.clone(),
            sharing_level: customs.config.sharing_level,
        };
        let statement = LedgerBalances {
            header,
            issued_in: CountryId { id: nation.to_string() },
            as_of: cx.now,
            page: Page { number: 1, of: 1 },
            balances,
        };
        let message = Message::Ledger(Box::new(statement));
        let (from, to) = (&customs.config.customs, &customs.config.partner);
        sent.push(answer::send(cx, from, to, &message, SUBJECT)?.exchange);
    }
    Ok(sent)
}

/// Returns what our ledger holds of an item, as both sides name it.
fn balance_of(
    customs: &Customs,
    view: &dyn Read,
    account: &Certificate,
    item: u32,
) -> Result<Option<LedgerBalance>, Rejection> {
    let (Some(ledger), Some(content)) = (account.ledger_of(item), account.content()) else {
        return Ok(None);
    };
    let side = our_side(customs, view, account, ledger)?;
    let listed = side.holdings.len().saturating_sub(LISTED_MAX);
    let unit = &ledger.certified.unit;
    Ok(Some(LedgerBalance {
        certificate: account.number.shown.clone(),
        version_id: content.header.version_id,
        item,
        certified: ledger.certified.clone(),
        debited: Quantity { value: ledger.used().normalize(), unit: unit.clone() },
        balance: side.balance,
        debits: side.uses,
        lines: side.holdings.into_iter().skip(listed).map(LedgerDebit::from).collect(),
    }))
}

/// Returns our ledger of an item, with claimed items as both sides name them.
fn our_side(
    customs: &Customs,
    view: &dyn Read,
    account: &Certificate,
    ledger: &LedgerItem,
) -> Result<Side, Rejection> {
    let (standing, whole) = holdings(view, &account.id())?;
    let here = account.country != customs.config.nation();
    let nation = customs.config.nation();
    let of_item = standing.into_iter().filter(|held| held.item == ledger.item);
    let named = of_item.map(|held| {
        let claim_item =
            if here { format!("{nation}:{}", held.claim_item) } else { held.claim_item };
        Holding { claim_item, ..held }
    });
    let holdings: Vec<Holding> = named.collect();
    let whole = whole && holdings.len() <= LISTED_MAX;
    Ok(Side { balance: ledger.balance_quantity(), uses: ledger.uses, holdings, whole })
}

fn their_side(line: &LedgerBalance) -> Side {
    let holdings = line.lines.iter().map(|debit| Holding {
        item: debit.certificate_item,
        claim_item: debit.claim_item.clone(),
        decision: debit.decision,
        quantity: debit.quantity.clone(),
        balance: debit.balance.value,
        at: debit.at,
    });
    let whole = u32::try_from(line.lines.len()).is_ok_and(|count| count == line.debits);
    Side { balance: line.balance.clone(), uses: line.debits, holdings: holdings.collect(), whole }
}

/// Compares a statement of the partner with our ledger.
pub(super) fn receive(
    customs: &Customs,
    cx: &mut Context<'_>,
    record: &MessageRecord,
    content: &LedgerBalances,
) -> Result<Effect, Rejection> {
    let nations = [customs.config.nation(), customs.config.partner_nation()];
    let issued_in = nations.into_iter().find(|nation| nation.as_str() == content.issued_in.id);
    let Some(nation) = issued_in else {
        let [ours, theirs] = nations;
        let remedy = format!("name the nation of the certificates, {ours} or {theirs}");
        return Ok(refused("issuedIn/ID", "ISSUER", remedy));
    };
    let mut outcome = Outcome::default();
    for line in &content.balances {
        one(customs, cx, record, &Line { nation, content, told: line }, &mut outcome)?;
    }
    let answers = content.header.function_code == FunctionCode::Response;
    let may = answer::may_send(customs, cx, LedgerBalances::DOCUMENT_TYPE);
    if may && !answers && !outcome.differing.is_empty() {
        tell(customs, cx, &outcome.differing, FunctionCode::Response)?;
    }
    let number = cx.tx.next(COMPARISONS.name)?;
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    cx.tx.add(&Comparison {
        number,
        at: cx.now,
        with: record.sender.clone(),
        statement: record.reference.clone(),
        answer: answers,
        as_of: content.as_of,
        items: count(content.balances.len()),
        differing: count(outcome.cases.len()),
        cases: outcome.cases,
        sent_again: outcome.sent_again,
    })?;
    if !outcome.differing.is_empty() {
        arm(customs, cx)?;
    }
    Ok(Effect::Applied { subject: SUBJECT.to_owned() })
}

/// What came of a statement.
#[derive(Default)]
struct Outcome {
    /// Items that differ and are known here.
    differing: Vec<(String, u32)>,
    cases: Vec<u64>,
    sent_again: u32,
}

/// One line of a statement.
struct Line<'a> {
    nation: Instance,
    content: &'a LedgerBalances,
    told: &'a LedgerBalance,
}

fn one(
    customs: &Customs,
    cx: &mut Context<'_>,
    record: &MessageRecord,
    line: &Line<'_>,
    outcome: &mut Outcome,
) -> Result<(), Rejection> {
    let Ok(number) = CertificateNumber::parse(&line.told.certificate) else { return Ok(()) };
    let (key, item) = (number.key(line.nation), line.told.item);
    let theirs = their_side(line.told);
    let account: Option<Certificate> = cx.tx.find(key.as_str())?;
    let ledger = account.as_ref().and_then(|account| Some((account, account.ledger_of(item)?)));
    let ours = match ledger {
        Some((account, ledger)) => Some(our_side(customs, cx.tx, account, ledger)?),
        None => None,
    };
    let minutes = customs.ledger_terms.settle_minutes(cx.now.utc_date());
    let settled = line.content.as_of.minus(Duration::from_secs(u64::from(minutes) * 60));
    let difference = match &ours {
        Some(ours) => compare(ours, &theirs, settled),
        None => Some(Difference {
            missing_here: theirs.holdings.clone(),
            text: "the certificate or its item is not here".to_owned(),
            ..Difference::default()
        }),
    };
    let by = record.sender.as_str();
    let Some(difference) = difference else { return agreed(cx, &key, item, by) };
    if ours.is_some() {
        outcome.differing.push((key.clone(), item));
    }
    if line.nation == customs.config.partner_nation() {
        for lacking in &difference.missing_there {
            if outcome.sent_again < SENT_AGAIN_MAX && send_again(customs, cx, lacking)? {
                outcome.sent_again += 1;
            }
        }
    }
    let finding = Finding {
        kind: CaseKind::BalancesDiffer,
        certificate: key,
        item,
        claim_item: None,
        text: difference.text,
        our_balance: ours.as_ref().map(|ours| ours.balance.clone()),
        their_balance: Some(theirs.balance.clone()),
        ours: newest(ours.map(|ours| ours.holdings).unwrap_or_default()),
        theirs: newest(theirs.holdings),
    };
    outcome.cases.push(open_case(cx.tx, cx.now, by, finding)?.0);
    Ok(())
}

fn newest(mut lines: Vec<Holding>) -> Vec<Holding> {
    lines.drain(..lines.len().saturating_sub(LISTED_MAX));
    lines
}

/// Closes what was open about an item on which both ledgers agree again.
fn agreed(cx: &mut Context<'_>, key: &str, item: u32, by: &str) -> Result<(), Rejection> {
    for case in open_cases_of(cx.tx, key)? {
        if case.item == item && !case.kind.is_closed_by_hand() {
            let text = "both ledgers hold the same debits and balance again".to_owned();
            close_case(cx.tx, case, Closing { at: cx.now, by: by.to_owned(), text })?;
        }
    }
    Ok(())
}

/// Sends the result of a debit of ours again, as it was; returns whether it was found.
fn send_again(
    customs: &Customs,
    cx: &mut Context<'_>,
    lacking: &Holding,
) -> Result<bool, Rejection> {
    let prefix = format!("{}:", customs.config.nation());
    let Some(own) = lacking.claim_item.strip_prefix(&prefix) else { return Ok(false) };
    let Some(item) = cx.tx.find::<ClaimItem>(own)? else { return Ok(false) };
    let decision = DecisionRecord::key_of(&item.claim, item.item, lacking.decision);
    let Some(decision) = cx.tx.find::<DecisionRecord>(decision)? else { return Ok(false) };
    for exchange in decision.results {
        let sent: Option<MessageRecord> = cx.tx.find(format!("{exchange}:out"))?;
        let Some(sent) = sent.filter(|sent| sent.recipient == customs.config.partner) else {
            continue;
        };
        let message = Message::parse(&sent.code, sent.raw.as_bytes())
            .map_err(|error| answer::unreadable(&error))?;
        let (from, to): (&MemberId, &MemberId) = (&sent.sender, &sent.recipient);
        answer::send(cx, from, to, &message, &sent.subject)?;
        return Ok(true);
    }
    Ok(false)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Comparing {
    certificate: Option<String>,
}

/// Sends our balances now: of one certificate, or of all that was debited since the last
/// statement, one batch at a time.
pub(super) fn compare_now(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let input: Comparing = read("ledger-compare", input)?;
    let Some(number) = input.certificate else {
        let (items, complete) = next(customs, cx)?;
        return Ok(json!({ "items": items, "complete": complete }));
    };
    let account = ledgers::find(customs, cx.tx, &number)?.account(cx.tx)?;
    let items: Vec<_> = account.ledger.iter().map(|ledger| (account.id(), ledger.item)).collect();
    if items.len() > BATCH_LINES {
        let text = format!(
            "certificate {number} has {} items, more than the {BATCH_LINES} of one statement; wait \
             for the nightly one",
            items.len()
        );
        return Err(refuse(ErrorKind::TooLarge, "too-many-items", text));
    }
    let sent = tell(customs, cx, &items, FunctionCode::Original)?;
    Ok(json!({ "items": items.len(), "complete": true, "sent": sent }))
}

/// Returns how the newest comparisons ended.
pub(super) fn comparisons(view: &dyn Read, limit: usize) -> Result<Value, Rejection> {
    let rows: Vec<Comparison> = view.select(&Range::all(limit).reversed())?;
    Ok(json!({ "count": rows.len(), "limit": limit, "rows": show::json_of(&rows) }))
}
