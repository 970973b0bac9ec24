//! The engine on the fake backend, with paused time and scripted plugin code.

mod double;
mod sketch;
mod stage;

mod cancel;
mod clock;
mod control;
mod event;
mod external;
mod failure;
mod fault;
mod keep;
mod lease;
mod network;
mod optional;
mod order;
mod plugin;
mod retry;
mod shutdown;
mod span;
mod stress;
