//! What travels along an edge: one micro-batch, or part of one.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::writer::StreamEncoder;
use arrow_schema::ArrowError;
use timely::Accountable;
use timely::bytes::arc::Bytes;
use timely::communication::Push;
use timely::container::NoopBuilder;
use timely::dataflow::channels::pact::DistributorPact;
use timely::dataflow::channels::pushers::exchange::Distributor;
use timely::dataflow::channels::{ContainerBytes, Message};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::progress::Stamp;

/// Rows of one time. As a timely container it counts as one record; only the default
/// one, which timely leaves behind when it moves one out, is empty.
#[derive(Clone, Debug, Default)]
pub struct Parcel {
    /// The micro-batch's sequence number.
    pub time: u64,
    /// The rows, or why they could not be read off the wire.
    pub rows: Option<Result<RecordBatch, String>>,
    /// What goes on the wire, made when it is first asked for.
    encoded: OnceLock<Vec<Buffer>>,
}

impl Parcel {
    /// Rows of `time`, or why there are none.
    pub fn of(time: u64, rows: Result<RecordBatch, String>) -> Self {
        Parcel {
            time,
            rows: Some(rows),
            encoded: OnceLock::new(),
        }
    }

    /// Rows of `time`.
    pub fn new(time: u64, rows: RecordBatch) -> Self {
        Parcel::of(time, Ok(rows))
    }
}

/// Sends the batches that have rows at the time of `at`.
pub fn send(
    output: &mut OutputBuilder<u64, NoopBuilder<Parcel>>,
    at: &Capability<u64>,
    batches: Vec<RecordBatch>,
) {
    let mut session = output.activate();
    let mut session = session.session_with_builder(at);
    for rows in batches.into_iter().filter(|rows| rows.num_rows() > 0) {
        session.give_container(&mut Parcel::new(*at.time(), rows));
    }
}

impl Accountable for Parcel {
    fn record_count(&self) -> i64 {
        i64::from(self.rows.is_some())
    }
}

/// The time, then an Arrow IPC stream of one batch, then zeros up to a multiple of 8.
impl ContainerBytes for Parcel {
    fn from_bytes(bytes: Bytes) -> Self {
        let (time, rows) = match bytes.split_first_chunk::<TIME_BYTES>() {
            Some((time, _)) => (u64::from_le_bytes(*time), decode(bytes)),
            None => (0, Err("a message of less than 8 bytes".to_owned())),
        };
        Parcel::of(time, rows)
    }

    fn length_in_bytes(&self) -> usize {
        let length: usize = self.encoded().iter().map(Buffer::len).sum();
        (TIME_BYTES + length).next_multiple_of(8)
    }

    fn into_bytes<W: Write>(&self, writer: &mut W) {
        let length: usize = self.encoded().iter().map(Buffer::len).sum();
        let padding = [0; 8];
        let padding = &padding[..(TIME_BYTES + length).next_multiple_of(8) - TIME_BYTES - length];
        // The writer is timely's buffer of `length_in_bytes`: it does not fail, and
        // this signature could not say so.
        let _ = writer.write_all(&self.time.to_le_bytes());
        for part in self.encoded() {
            let _ = writer.write_all(part);
        }
        let _ = writer.write_all(padding);
    }
}

const TIME_BYTES: usize = size_of::<u64>();

impl Parcel {
    /// The rows as parts of an Arrow IPC stream, which share memory with the rows. None
    /// where they cannot be encoded: the other end refuses that.
    fn encoded(&self) -> &[Buffer] {
        let encode = |rows: &RecordBatch| {
            let mut encoder = StreamEncoder::try_new(&rows.schema())?;
            let mut parts = encoder.encode(rows)?;
            parts.extend(encoder.finish()?);
            Ok::<_, ArrowError>(parts)
        };
        self.encoded.get_or_init(|| match &self.rows {
            Some(Ok(rows)) => encode(rows).unwrap_or_default(),
            _ => Vec::new(),
        })
    }
}

/// Lets Arrow arrays share timely's memory.
struct Owner(Bytes);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Decodes in place: the arrays point into `bytes`. Offsets, lengths and UTF-8 are
/// validated, and what the decoder trips over is an error like any other.
fn decode(bytes: Bytes) -> Result<RecordBatch, String> {
    let mut buffer = Buffer::from(bytes::Bytes::from_owner(Owner(bytes))).slice(TIME_BYTES);
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        let mut decoder = StreamDecoder::new();
        while !buffer.is_empty() {
            if let Some(rows) = decoder.decode(&mut buffer)? {
                return Ok(Some(rows));
            }
        }
        Ok::<_, ArrowError>(None)
    }));
    match decoded {
        Ok(Ok(Some(rows))) => Ok(rows),
        Ok(Ok(None)) => Err("a message without rows".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("a message that is not an Arrow IPC stream".to_owned()),
    }
}

/// Sends each parcel, whole, to the worker that `route` names for its time.
pub struct Route {
    route: Arc<dyn Fn(u64) -> usize + Send + Sync>,
}

/// The contract of an edge whose parcels `route` sends to a worker.
pub fn route_to(
    route: Arc<dyn Fn(u64) -> usize + Send + Sync>,
) -> DistributorPact<Box<dyn FnOnce(usize) -> Route>> {
    DistributorPact(Box::new(move |_peers| Route { route }))
}

impl Distributor<Parcel> for Route {
    fn partition<T: Clone, P: Push<Message<T, Parcel>>>(
        &mut self,
        parcel: &mut Parcel,
        stamp: &Stamp<T>,
        pushers: &mut [P],
    ) {
        let worker = (self.route)(parcel.time);
        Message::push_at(parcel, stamp.clone(), &mut pushers[worker]);
    }

    fn flush<T: Clone, P: Push<Message<T, Parcel>>>(&mut self, _: &Stamp<T>, _: &mut [P]) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{ArrayRef, UInt64Array};

    #[test]
    fn a_parcel_survives_the_wire() {
        let column: ArrayRef = Arc::new(UInt64Array::from(vec![3, 4]));
        let rows = RecordBatch::try_from_iter([("review", column)]).unwrap();
        let parcel = Parcel::new(7, rows.clone());
        let mut bytes = Vec::new();
        parcel.into_bytes(&mut bytes);
        assert_eq!(bytes.len(), parcel.length_in_bytes());
        let mut slab = timely::bytes::arc::BytesMut::from(bytes.clone());
        let back = Parcel::from_bytes(slab.extract_to(bytes.len()));
        assert_eq!((back.time, back.rows), (7, Some(Ok(rows))));
        let mut slab = timely::bytes::arc::BytesMut::from(bytes[..40].to_vec());
        let cut = Parcel::from_bytes(slab.extract_to(40));
        assert!(matches!(cut.rows, Some(Err(_))));
    }
}
