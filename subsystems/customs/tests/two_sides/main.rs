//! Two customs services, each on a store of its own, and what passes between them.

mod api;
mod asking_again;
mod bulk;
mod cargo;
mod catalogue;
mod choreography;
mod decisions;
mod exchange;
mod handed_in;
mod later;
mod ledger;
mod load;
mod mirror;
mod parts;
mod rebalancing;
mod reconcile;
mod refusals;
mod risk;
mod rules;
mod samples;
mod sharing;
mod suspension;
mod tariffs;
mod unagreed;
mod verification;
mod words;
