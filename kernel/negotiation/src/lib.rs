#![doc = include_str!("../README.md")]

pub mod catalog;
mod courier;
pub mod decide;
pub mod engine;
mod error;
pub mod feeds;
mod granted;
pub mod http;
pub mod identity;
pub mod line;
pub mod local;
pub mod push;
mod receive;
pub mod records;
pub mod script;
pub mod source;
mod step;
pub mod terms;
mod views;
mod withdraw;

pub use engine::{Config, Engine, Opening};
pub use error::Error;
pub use http::Gateway;
