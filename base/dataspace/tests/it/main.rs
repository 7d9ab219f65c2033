//! Tables of messages and policies, and properties of them.

mod messages;
mod policies;
mod properties;
mod shape;
