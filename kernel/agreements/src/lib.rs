#![doc = include_str!("../README.md")]

mod agreement;
mod book;
mod error;
pub mod meter;
pub mod signed;

pub use agreement::{Agreement, Endpoint, Grant, ServiceGrant};
pub use book::{AGREEMENTS_MAX, AgreementBook, Agreements, Allowed, Entry};
pub use error::Error;
pub use meter::{Meter, Quota};
