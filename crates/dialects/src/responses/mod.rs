//! Responses: readers and writers.

mod echo;
mod items;
mod reply;
mod request_reader;
mod request_writer;
mod stream_reader;
mod stream_writer;

pub(crate) use echo::echo;
pub(crate) use reply::{read_reply, write_reply};
pub(crate) use request_reader::read_request;
pub(crate) use request_writer::write_request;
pub(crate) use stream_reader::Reader;
pub(crate) use stream_writer::Writer;
