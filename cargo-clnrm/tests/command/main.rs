//! The command as a user runs it: `cargo clnrm` on a project outside the workspace, above all what is left when
//! things die.

#[cfg(test)]
mod again;
#[cfg(test)]
mod answer;
#[cfg(test)]
mod backend;
#[cfg(test)]
mod bystander;
#[cfg(test)]
mod discover;
#[cfg(test)]
mod environment;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod external;
#[cfg(test)]
mod fault;
#[cfg(test)]
mod isolation;
#[cfg(test)]
mod job;
#[cfg(test)]
mod kept;
#[cfg(test)]
mod leftovers;
#[cfg(test)]
mod limit;
#[cfg(test)]
mod obstacle;
#[cfg(test)]
mod outcome;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod plugins;
#[cfg(test)]
mod port;
#[cfg(test)]
mod process;
#[cfg(test)]
mod project;
#[cfg(test)]
mod run;
#[cfg(test)]
mod runner;
#[cfg(test)]
mod script;
