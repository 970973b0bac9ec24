//! The coordinator's end of the protocol against real processes: this binary,
//! executed again as a host or as a test.

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod host;
#[cfg(test)]
mod host_failure;
#[cfg(test)]
mod host_start;
#[cfg(test)]
mod lease;
#[cfg(test)]
mod lease_process;
#[cfg(test)]
mod lease_version;
#[cfg(test)]
mod notes;
#[cfg(test)]
mod plugin;
