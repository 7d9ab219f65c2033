#![doc = include_str!("../README.md")]

pub mod certificate;
pub mod claim;
pub mod codes;
pub mod decision;
pub mod duty;
pub mod explain;
pub mod export;
pub mod journal;
pub mod matching;
pub mod messages;
pub mod relief;
pub mod samples;
pub mod subsystem;
pub mod tariff;
pub mod validate;
pub mod wco;
