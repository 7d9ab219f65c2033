//! Two real nodes, tested from outside.

mod agreements;
mod bundles;
mod call_bundles;
mod calls;
mod calls_abuse;
mod calls_crash;
mod calls_crowd;
mod calls_forged;
mod calls_liar;
mod calls_live;
mod crash;
mod dead_letters;
mod documents;
mod due;
mod large;
mod negotiation;
mod negotiation_catalog;
mod negotiation_crash;
mod negotiation_feeds;
mod negotiation_identity;
mod negotiation_people;
mod negotiation_rules;
mod negotiation_sources;
mod refusals;
mod streams;
mod tls;
