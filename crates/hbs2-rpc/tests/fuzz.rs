//! Readers of the socket under fire: frames, and the inputs and outputs of methods.

use bytes::Bytes;
use hbs2_core::cbor::Decoder;
use hbs2_rpc::api::{Method, lwwref, mailbox, node, peer, refchan, reflog, storage};
use hbs2_rpc::frame::{Request, Response, request, response};
use hbs2_rpc::value::{Parts, Value};
use hbs2_testkit::fuzz::fuzz;

/// Bytes of the length before a payload.
const HEAD_BYTES: usize = 4;

#[test]
fn fuzz_rpc() {
    let input = Parts::from(Bytes::from_static(&[0x82, 0x00, 0x58, 0x03, 1, 2, 3]));
    let mut seeds: Vec<Vec<u8>> = (0..8)
        .flat_map(|method| {
            let ask = request(0xDA2374610001 + method, 7, method, &input).join();
            let good = response(0xDA2374610001 + method, 7, Ok(&input)).join();
            [ask[HEAD_BYTES..].to_vec(), good[HEAD_BYTES..].to_vec()]
        })
        .collect();
    seeds.push(vec![0x82, 0, 0x5f, 0x40, 0xff]);
    fuzz("rpc", seeds, |bytes| {
        let payload = Bytes::copy_from_slice(bytes);
        let (request, response) = (Request::read(&payload), Response::read(&payload));
        if let Ok(request) = &request {
            let input = Parts::from(request.input.clone());
            let again =
                hbs2_rpc::frame::request(request.service, request.number, request.method, &input).join();
            assert_eq!(Request::read(&again.slice(HEAD_BYTES..)).as_ref(), Ok(request));
            let methods = inputs(&request.input);
            return format!("request {methods}");
        }
        let why = |error: &dyn std::fmt::Debug| {
            format!("{error:?}").chars().filter(|c| !c.is_ascii_digit()).take(40).collect::<String>()
        };
        match response {
            Ok(response) => format!("response {}", response.outcome.is_ok()),
            Err(error) => format!("{} {}", why(&error), request.is_err()),
        }
    });
}

/// Reads an input as that of many methods; how many can be.
fn inputs(input: &Bytes) -> usize {
    fn reads<M: Method>(input: &Bytes) -> usize {
        let read = M::Input::read(&mut Decoder::new(input), input);
        usize::from(read.is_ok())
    }
    reads::<storage::GetBlock>(input)
        + reads::<peer::PollAdd>(input)
        + reads::<peer::Ping>(input)
        + reads::<reflog::Post>(input)
        + reads::<lwwref::Update>(input)
        + reads::<refchan::Propose>(input)
        + reads::<mailbox::Send>(input)
        + reads::<node::WaitTree>(input)
        + reads::<node::WaitRef>(input)
        + reads::<node::PostMany>(input)
}
