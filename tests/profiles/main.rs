//! Profiles as the bus uses them: registers in, readings and writes out. The device here is a table of registers that
//! knows nothing of the codec.

mod decoding;
mod device;
mod driving;
mod hostile;
mod sunspec;
