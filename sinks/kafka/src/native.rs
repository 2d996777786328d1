//! librdkafka's producer through its C interface, made safe: only from there can records be handed over in batches and
//! without a copy of their payload. Everything `unsafe` of this crate is here. What is sent, and when, is decided in
//! `producer`.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode as Code;
use tailwater_core::Result;

use crate::client::{Noted, log};
use crate::encode::Records;
use crate::error;
use crate::token::TokenFile;

/// A record's place in memory, told back by its delivery report, goes through one pointer.
const _: () = assert!(usize::BITS == 64, "delivery reports need a pointer of 64 bits");

/// A producer. Records that were handed over borrow the arena they came from until their delivery report is in, or
/// the producer is dropped: so an arena must not be touched before [`Reports::all_in`] holds for its slot, and
/// must live longer than this.
pub(crate) struct Native {
    client: *mut sys::rd_kafka_t,
    /// What the callbacks see; librdkafka has its address.
    reports: Arc<Reports>,
    /// Reused from call to call.
    messages: Vec<sys::rd_kafka_message_t>,
}

// SAFETY: librdkafka's client may be used from any thread.
unsafe impl Send for Native {}

/// A topic of one producer. Must be dropped before it.
pub(crate) struct NativeTopic(*mut sys::rd_kafka_topic_t);

// SAFETY: as above.
unsafe impl Send for NativeTopic {}

impl Drop for NativeTopic {
    fn drop(&mut self) {
        // SAFETY: made by rd_kafka_topic_new, and its client still lives.
        unsafe { sys::rd_kafka_topic_destroy(self.0) }
    }
}

/// What delivery reports have told so far. Callbacks write it while the producer is polled.
pub(crate) struct Reports {
    /// By slot of an arena: records whose report is not in yet.
    outstanding: Vec<AtomicU32>,
    /// Bytes of keys and values of all these.
    outstanding_bytes: AtomicU64,
    /// The first record that was not delivered.
    failure: Mutex<Option<Failure>>,
    noted: Noted,
    token: Option<TokenFile>,
}

/// A record that was not delivered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) slot: usize,
    pub(crate) record: usize,
    pub(crate) bytes: usize,
}

/// The answer of a call about transactions.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) code: Code,
    pub(crate) text: String,
    pub(crate) fatal: bool,
    pub(crate) requires_abort: bool,
}

impl Trouble {
    /// Of a producer that can do nothing any more.
    pub(crate) fn fatal(code: Code, text: String) -> Self {
        Self { code, text, fatal: true, requires_abort: false }
    }
}

impl Native {
    /// # Errors
    /// `Operator` where librdkafka refuses the configuration.
    pub(crate) fn new(
        config: &ClientConfig,
        slots: usize,
        noted: Noted,
        token: Option<TokenFile>,
    ) -> Result<Self> {
        let outstanding = (0..slots).map(|_| AtomicU32::new(0)).collect();
        let reports = Arc::new(Reports {
            outstanding,
            outstanding_bytes: AtomicU64::new(0),
            failure: Mutex::new(None),
            noted,
            token,
        });
        let conf = config.create_native_config().map_err(|error| error::from_rdkafka(&error))?;
        let conf = ManuallyDrop::new(conf);
        let mut text = [0; 512];
        // SAFETY: the configuration is alive and not shared; the address of `reports` is valid as long as the client,
        // which `self` drops first.
        let client = unsafe {
            sys::rd_kafka_conf_set_opaque(conf.ptr(), Arc::as_ptr(&reports).cast_mut().cast());
            sys::rd_kafka_conf_set_dr_msg_cb(conf.ptr(), Some(delivered));
            sys::rd_kafka_conf_set_error_cb(conf.ptr(), Some(failed));
            sys::rd_kafka_conf_set_log_cb(conf.ptr(), Some(logged));
            if reports.token.is_some() {
                sys::rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf.ptr(), Some(wants_token));
                sys::rd_kafka_conf_enable_sasl_queue(conf.ptr(), 1);
            }
            sys::rd_kafka_new(
                sys::rd_kafka_type_t::RD_KAFKA_PRODUCER,
                conf.ptr(),
                text.as_mut_ptr(),
                text.len(),
            )
        };
        if client.is_null() {
            drop(ManuallyDrop::into_inner(conf));
            return Err(error::creation(&until_nul(&text)));
        }
        // From here on the configuration belongs to the client.
        if reports.token.is_some() {
            // SAFETY: the client is alive. Without this a token would be asked for only while the producer is polled.
            answer(unsafe { sys::rd_kafka_sasl_background_callbacks_enable(client) })
                .map_err(|trouble| error::from_code(trouble.code, &trouble.text))?;
        }
        Ok(Self { client, reports, messages: Vec::new() })
    }

    pub(crate) fn reports(&self) -> &Reports {
        &self.reports
    }

    /// # Errors
    /// `Operator` where librdkafka takes no such name.
    pub(crate) fn topic(&self, name: &str) -> Result<NativeTopic> {
        let c_name = CString::new(name).unwrap_or_default();
        // SAFETY: both pointers are valid; no configuration means that of the client.
        let topic = unsafe { sys::rd_kafka_topic_new(self.client, c_name.as_ptr(), std::ptr::null_mut()) };
        if topic.is_null() { Err(error::topic_name(name, name)) } else { Ok(NativeTopic(topic)) }
    }

    /// Hands over records of the arena in `slot`, in this order, and says how many were taken, and why not all.
    /// Records without headers only.
    pub(crate) fn produce(
        &mut self,
        topic: &NativeTopic,
        partition: i32,
        slot: usize,
        records: &Records,
        indexes: &[usize],
    ) -> (usize, Option<Code>) {
        self.messages.clear();
        let of = |&index: &usize| records.records().get(index).map(|record| (index, record));
        self.messages.extend(indexes.iter().filter_map(of).map(|(index, record)| {
            let (payload, len) = pointer(record.value.map(|span| records.bytes(span)));
            let (key, key_len) = pointer(record.key.map(|span| records.bytes(span)));
            sys::rd_kafka_message_t {
                err: sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR,
                rkt: std::ptr::null_mut(),
                partition,
                payload,
                len,
                key,
                key_len,
                offset: 0,
                _private: ticket(slot, index),
            }
        }));
        self.messages.iter().for_each(|message| self.reports.expect(slot, bytes_of(message)));
        let count = c_int::try_from(self.messages.len()).unwrap_or(c_int::MAX);
        // SAFETY: there are `count` messages, whose payloads live in an arena that is not touched until their reports
        // are in (see `Native`). Neither a copy nor a free is asked for; keys are copied always.
        unsafe { sys::rd_kafka_produce_batch(topic.0, partition, 0, self.messages.as_mut_ptr(), count) };
        let refused = |message: &&sys::rd_kafka_message_t| {
            message.err != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
        };
        self.messages.iter().filter(refused).for_each(|message| self.reports.settle(slot, bytes_of(message)));
        let first = self.messages.iter().enumerate().find(|(_, message)| refused(message));
        first.map_or((self.messages.len(), None), |(at, message)| (at, Some(Code::from(message.err))))
    }

    /// Hands over one record with its headers.
    pub(crate) fn produce_with_headers(
        &mut self,
        topic: &NativeTopic,
        partition: i32,
        slot: usize,
        records: &Records,
        index: usize,
    ) -> Option<Code> {
        let record = records.records().get(index)?;
        // SAFETY: the list is freed below where librdkafka does not take it over; names and values are copied.
        let headers = unsafe { sys::rd_kafka_headers_new(records.headers(index).len()) };
        for header in records.headers(index) {
            let (name, name_len) = pointer(Some(records.bytes(header.name)));
            let (value, value_len) = pointer(header.value.map(|span| records.bytes(span)));
            let (name_len, value_len) = (name_len.cast_signed(), value_len.cast_signed());
            // SAFETY: both pointers are valid for their lengths.
            unsafe { sys::rd_kafka_header_add(headers, name.cast(), name_len, value, value_len) };
        }
        let (value, value_len) = pointer(record.value.map(|span| records.bytes(span)));
        let (key, key_len) = pointer(record.key.map(|span| records.bytes(span)));
        let parts = [
            part(sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT, Part { rkt: topic.0 }),
            part(sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION, Part { i32_: partition }),
            part(sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS, Part { i: 0 }),
            part(
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE,
                Part { mem: Memory { ptr: value, size: value_len } },
            ),
            part(sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY, Part { mem: Memory { ptr: key, size: key_len } }),
            part(sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_OPAQUE, Part { ptr: ticket(slot, index) }),
            part(sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_HEADERS, Part { headers }),
        ];
        self.reports.expect(slot, value_len + key_len);
        // SAFETY: every part is of the type its tag says; as for the payload see `produce`.
        let error = unsafe { sys::rd_kafka_produceva(self.client, parts.as_ptr(), parts.len()) };
        let code = trouble(error).map(|trouble| trouble.code)?;
        self.reports.settle(slot, value_len + key_len);
        // SAFETY: after an error the list is still ours.
        unsafe { sys::rd_kafka_headers_destroy(headers) };
        Some(code)
    }

    /// Takes delivery reports in, for so long at most.
    pub(crate) fn poll(&self, time: Duration) {
        // SAFETY: the client is alive.
        unsafe { sys::rd_kafka_poll(self.client, milliseconds(time)) };
    }

    /// Sends what waits at once and takes reports in; whether all of them are in.
    pub(crate) fn flush(&self, time: Duration) -> bool {
        // SAFETY: the client is alive.
        let answer = unsafe { sys::rd_kafka_flush(self.client, milliseconds(time)) };
        answer == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
    }

    pub(crate) fn init_transactions(&self, time: Duration) -> Result<(), Trouble> {
        // SAFETY: the client is alive, here and below.
        answer(unsafe { sys::rd_kafka_init_transactions(self.client, milliseconds(time)) })
    }

    pub(crate) fn begin_transaction(&self) -> Result<(), Trouble> {
        // SAFETY: as above.
        answer(unsafe { sys::rd_kafka_begin_transaction(self.client) })
    }

    pub(crate) fn commit_transaction(&self, time: Duration) -> Result<(), Trouble> {
        // SAFETY: as above.
        answer(unsafe { sys::rd_kafka_commit_transaction(self.client, milliseconds(time)) })
    }

    pub(crate) fn abort_transaction(&self, time: Duration) -> Result<(), Trouble> {
        // SAFETY: as above.
        answer(unsafe { sys::rd_kafka_abort_transaction(self.client, milliseconds(time)) })
    }

    /// Why this producer can do nothing any more, where it cannot.
    pub(crate) fn fatal(&self) -> Option<(Code, String)> {
        let mut text = [0; 512];
        // SAFETY: the text has the length that is told.
        let code = unsafe { sys::rd_kafka_fatal_error(self.client, text.as_mut_ptr(), text.len()) };
        (code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR)
            .then(|| (Code::from(code), until_nul(&text)))
    }
}

impl Drop for Native {
    /// Waits for librdkafka's threads, after which nothing refers to an arena any more.
    fn drop(&mut self) {
        // SAFETY: nobody uses the client after this; its topics are gone.
        unsafe { sys::rd_kafka_destroy(self.client) }
    }
}

use sys::rd_kafka_vu_s__bindgen_ty_1 as Part;
use sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 as Memory;

fn part(vtype: sys::rd_kafka_vtype_t, u: Part) -> sys::rd_kafka_vu_t {
    sys::rd_kafka_vu_t { vtype, u }
}

/// A null pointer stands for no bytes at all, which is not the same as none of them.
fn pointer(bytes: Option<&[u8]>) -> (*mut c_void, usize) {
    bytes.map_or((std::ptr::null_mut(), 0), |bytes| (bytes.as_ptr().cast_mut().cast(), bytes.len()))
}

/// Slot and number of a record in the pointer that comes back with its report.
fn ticket(slot: usize, record: usize) -> *mut c_void {
    std::ptr::without_provenance_mut(slot << 32 | record)
}

fn milliseconds(time: Duration) -> c_int {
    c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX)
}

fn answer(error: *mut sys::rd_kafka_error_t) -> Result<(), Trouble> {
    trouble(error).map_or(Ok(()), Err)
}

fn trouble(error: *mut sys::rd_kafka_error_t) -> Option<Trouble> {
    if error.is_null() {
        return None;
    }
    // SAFETY: an error that is not null is ours until it is destroyed, after which nothing of it is used.
    unsafe {
        let trouble = Trouble {
            code: Code::from(sys::rd_kafka_error_code(error)),
            text: CStr::from_ptr(sys::rd_kafka_error_string(error)).to_string_lossy().into_owned(),
            fatal: sys::rd_kafka_error_is_fatal(error) != 0,
            requires_abort: sys::rd_kafka_error_txn_requires_abort(error) != 0,
        };
        sys::rd_kafka_error_destroy(error);
        Some(trouble)
    }
}

fn until_nul(text: &[c_char]) -> String {
    let bytes: Vec<u8> = text.iter().take_while(|&&c| c != 0).map(|c| c.cast_unsigned()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Called while the producer is polled, once per record.
unsafe extern "C" fn delivered(
    _client: *mut sys::rd_kafka_t,
    message: *const sys::rd_kafka_message_t,
    opaque: *mut c_void,
) {
    // SAFETY: librdkafka gives a valid message and the address that was set with the configuration.
    let (message, reports) = unsafe { (&*message, &*opaque.cast::<Reports>()) };
    let ticket = message._private.addr();
    let (slot, record) = (ticket >> 32, ticket & 0xffff_ffff);
    if message.err != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        reports.fail(Failure { code: Code::from(message.err), slot, record, bytes: bytes_of(message) });
    }
    reports.settle(slot, bytes_of(message));
}

fn bytes_of(message: &sys::rd_kafka_message_t) -> usize {
    message.len + message.key_len
}

/// Called while the producer is polled: what went wrong in the background.
unsafe extern "C" fn failed(
    _client: *mut sys::rd_kafka_t,
    code: c_int,
    reason: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: as for `delivered`; the reason ends with a nul.
    let (reason, reports) = unsafe { (CStr::from_ptr(reason), &*opaque.cast::<Reports>()) };
    reports.noted.note(code, &reason.to_string_lossy());
}

/// Called from librdkafka's background thread before a token ends.
unsafe extern "C" fn wants_token(client: *mut sys::rd_kafka_t, _config: *const c_char, opaque: *mut c_void) {
    // SAFETY: as for `delivered`.
    let reports = unsafe { &*opaque.cast::<Reports>() };
    let Some(file) = &reports.token else { return };
    if let Err(error) = give_token(client, file) {
        let refused = CString::new(error.message()).unwrap_or_default();
        // SAFETY: the string ends with a nul.
        unsafe { sys::rd_kafka_oauthbearer_set_token_failure(client, refused.as_ptr()) };
    }
}

/// Gives the token to a client of rdkafka's, which asks for one only while it is polled.
///
/// # Errors
/// `Operator` where it cannot be read, or librdkafka does not take it.
pub(crate) fn set_token<C: ClientContext>(client: &Client<C>, file: &TokenFile) -> Result<()> {
    give_token(client.native_ptr(), file)
}

fn give_token(client: *mut sys::rd_kafka_t, file: &TokenFile) -> Result<()> {
    let token = file.read()?;
    let c_string = |text: String| CString::new(text).unwrap_or_default();
    let (value, principal) = (c_string(token.value), c_string(token.principal));
    let mut why = [0; 256];
    // SAFETY: the client is alive, the strings end with a nul, and `why` has the length that is told; there are no
    // extensions.
    let answer = unsafe {
        sys::rd_kafka_oauthbearer_set_token(
            client,
            value.as_ptr(),
            token.expires_ms,
            principal.as_ptr(),
            std::ptr::null_mut(),
            0,
            why.as_mut_ptr(),
            why.len(),
        )
    };
    if answer == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Ok(());
    }
    Err(error::token(&until_nul(&why)))
}

/// Called from librdkafka's threads.
unsafe extern "C" fn logged(
    _client: *const sys::rd_kafka_t,
    level: c_int,
    facility: *const c_char,
    text: *const c_char,
) {
    // SAFETY: both end with a nul.
    let (facility, text) = unsafe { (CStr::from_ptr(facility), CStr::from_ptr(text)) };
    log(level, &facility.to_string_lossy(), &text.to_string_lossy());
}

impl Reports {
    /// A record is handed over.
    fn expect(&self, slot: usize, bytes: usize) {
        if let Some(outstanding) = self.outstanding.get(slot) {
            outstanding.fetch_add(1, Ordering::Relaxed);
        }
        self.outstanding_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Its report is in, or it was not taken.
    fn settle(&self, slot: usize, bytes: usize) {
        if let Some(outstanding) = self.outstanding.get(slot) {
            outstanding.fetch_sub(1, Ordering::Release);
        }
        self.outstanding_bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
    }

    /// Keeps the first failure; of records that are too large the largest, which the others shared a request with.
    fn fail(&self, failure: Failure) {
        let Ok(mut first) = self.failure.lock() else { return };
        let larger = |first: &Failure| error::is_too_large(first.code) && failure.bytes > first.bytes;
        if first.as_ref().is_none_or(larger) {
            *first = Some(failure);
        }
    }

    /// What went wrong with logins.
    pub(crate) fn noted(&self) -> &Noted {
        &self.noted
    }

    /// The first failure so far.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.failure.lock().ok().and_then(|failure| *failure)
    }

    /// Whether every record of the arena in `slot` has its report.
    pub(crate) fn all_in(&self, slot: usize) -> bool {
        self.outstanding.get(slot).is_none_or(|outstanding| outstanding.load(Ordering::Acquire) == 0)
    }

    /// Bytes of keys and values whose report is not in yet.
    pub(crate) fn bytes_out(&self) -> u64 {
        self.outstanding_bytes.load(Ordering::Relaxed)
    }
}

/// The end of a partition as the last answer to a consumer had it, with what no transaction has committed yet.
pub(crate) fn high_watermark<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partition: i32,
) -> Option<i64> {
    let topic = CString::new(topic).ok()?;
    let (mut low, mut high) = (-1, -1);
    // SAFETY: the consumer is alive, the name ends with a nul, and both numbers may be written.
    unsafe {
        sys::rd_kafka_get_watermark_offsets(
            consumer.client().native_ptr(),
            topic.as_ptr(),
            partition,
            &raw mut low,
            &raw mut high,
        );
    }
    (high >= 0).then_some(high)
}
