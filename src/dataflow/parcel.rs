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
    /// Which part of that it is; empty where it is the whole. Parts are in lexicographic
    /// order, whichever workers they come from.
    pub part: Vec<u32>,
    /// The rows, or why they could not be read off the wire.
    pub rows: Option<Result<RecordBatch, String>>,
    /// What goes on the wire, made when it is first asked for.
    encoded: OnceLock<Vec<Buffer>>,
}

impl Parcel {
    /// Rows of `time`, or why there are none.
    pub fn of(time: u64, part: Vec<u32>, rows: Result<RecordBatch, String>) -> Self {
        Parcel {
            time,
            part,
            rows: Some(rows),
            encoded: OnceLock::new(),
        }
    }

    /// All rows of `time`.
    pub fn new(time: u64, rows: RecordBatch) -> Self {
        Parcel::of(time, Vec::new(), Ok(rows))
    }
}

/// A batch, and which part of its time it is.
pub type Part = (Vec<u32>, RecordBatch);

/// Sends the batches that have rows at the time of `at`.
pub fn send(
    output: &mut OutputBuilder<u64, NoopBuilder<Parcel>>,
    at: &Capability<u64>,
    batches: Vec<Part>,
) {
    let mut session = output.activate();
    let mut session = session.session_with_builder(at);
    for (part, rows) in batches.into_iter().filter(|(_, rows)| rows.num_rows() > 0) {
        session.give_container(&mut Parcel::of(*at.time(), part, Ok(rows)));
    }
}

impl Accountable for Parcel {
    fn record_count(&self) -> i64 {
        i64::from(self.rows.is_some())
    }
}

/// The time, the length of the part's number and that number, zeros up to a multiple of 8,
/// then an Arrow IPC stream of one batch, then zeros up to a multiple of 8.
impl ContainerBytes for Parcel {
    fn from_bytes(bytes: Bytes) -> Self {
        match head(&bytes) {
            Some((time, part, length)) => Parcel::of(time, part, decode(bytes, length)),
            None => Parcel::of(0, Vec::new(), Err("a message without a head".to_owned())),
        }
    }

    fn length_in_bytes(&self) -> usize {
        let length: usize = self.encoded().iter().map(Buffer::len).sum();
        (head_bytes(self.part.len()) + length).next_multiple_of(8)
    }

    fn into_bytes<W: Write>(&self, writer: &mut W) {
        let length: usize = self.encoded().iter().map(Buffer::len).sum();
        let padding = [0; 8];
        let padding = &padding[..length.next_multiple_of(8) - length];
        // The writer is timely's buffer of `length_in_bytes`: it does not fail, and
        // this signature could not say so.
        let mut head = self.time.to_le_bytes().to_vec();
        // A part's number is as long as a graph is deep.
        head.extend((self.part.len() as u32).to_le_bytes());
        self.part
            .iter()
            .for_each(|number| head.extend(number.to_le_bytes()));
        head.resize(head_bytes(self.part.len()), 0);
        let _ = writer.write_all(&head);
        for part in self.encoded() {
            let _ = writer.write_all(part);
        }
        let _ = writer.write_all(padding);
    }
}

/// Bytes before the Arrow stream, where a part's number is `length` long.
fn head_bytes(length: usize) -> usize {
    (size_of::<u64>() + size_of::<u32>() * (1 + length)).next_multiple_of(8)
}

/// The time, the part's number, and how many bytes they take.
fn head(bytes: &[u8]) -> Option<(u64, Vec<u32>, usize)> {
    let (time, rest) = bytes.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let length = u32::from_le_bytes(*length) as usize;
    let numbers = rest.get(..length.checked_mul(size_of::<u32>())?)?;
    let (numbers, _) = numbers.as_chunks();
    let part = numbers
        .iter()
        .map(|number| u32::from_le_bytes(*number))
        .collect();
    let head = head_bytes(length);
    (bytes.len() >= head).then_some((u64::from_le_bytes(*time), part, head))
}

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
fn decode(bytes: Bytes, head: usize) -> Result<RecordBatch, String> {
    let mut buffer = Buffer::from(bytes::Bytes::from_owner(Owner(bytes))).slice(head);
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

/// Names the worker for a time and a part.
pub type Router = dyn Fn(u64, &[u32]) -> usize + Send + Sync;

/// Sends each parcel to the worker that this names for it.
#[derive(Clone)]
pub struct Route(Arc<Router>);

/// The contract of an edge.
pub type Routed = DistributorPact<Box<dyn FnOnce(usize) -> Route>>;

impl Route {
    /// As the contract of an edge.
    pub fn pact(self) -> Routed {
        DistributorPact(Box::new(move |_peers| self))
    }

    /// To the worker that `route` names for a time and a part.
    pub fn new(route: impl Fn(u64, &[u32]) -> usize + Send + Sync + 'static) -> Self {
        Route(Arc::new(route))
    }

    /// All parcels to one worker.
    pub fn to_worker(worker: usize) -> Self {
        Route::new(move |_, _| worker)
    }
}

impl Distributor<Parcel> for Route {
    fn partition<T: Clone, P: Push<Message<T, Parcel>>>(
        &mut self,
        parcel: &mut Parcel,
        stamp: &Stamp<T>,
        pushers: &mut [P],
    ) {
        let worker = (self.0)(parcel.time, &parcel.part);
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
        for part in [vec![], vec![3], vec![3, 0, 9]] {
            survives(&Parcel::of(7, part, Ok(rows.clone())), &rows);
        }
    }

    fn survives(parcel: &Parcel, rows: &RecordBatch) {
        let mut bytes = Vec::new();
        parcel.into_bytes(&mut bytes);
        assert_eq!(bytes.len(), parcel.length_in_bytes());
        let mut slab = timely::bytes::arc::BytesMut::from(bytes.clone());
        let back = Parcel::from_bytes(slab.extract_to(bytes.len()));
        let (time, part) = (back.time, back.part);
        assert_eq!(
            (time, &part, back.rows),
            (7, &parcel.part, Some(Ok(rows.clone())))
        );
        let mut slab = timely::bytes::arc::BytesMut::from(bytes[..40].to_vec());
        let cut = Parcel::from_bytes(slab.extract_to(40));
        assert!(matches!(cut.rows, Some(Err(_))));
        for length in 0..16 {
            let mut slab = timely::bytes::arc::BytesMut::from(vec![255; length]);
            let none = Parcel::from_bytes(slab.extract_to(length));
            assert!(matches!(none.rows, Some(Err(_))), "{length}");
        }
    }
}
