use super::*;
use crate::sse::Parser;

/// What the client gets of a stream, and how it ended.
fn passed(dialect: Dialect, injected: bool, stream: &str) -> (String, Watch) {
    let (mut watch, mut parser, mut events, mut sent) =
        (Watch::new(dialect, injected), Parser::default(), Vec::new(), String::new());
    parser.push(stream.as_bytes(), &mut events).unwrap();
    events.extend(parser.finish().unwrap());
    for event in &events {
        match watch.look(event) {
            Verdict::Pass => sent.push_str(std::str::from_utf8(&event.raw).unwrap()),
            Verdict::Drop => {}
            Verdict::Replace(bytes) => sent.push_str(&bytes),
        }
    }
    sent.extend(watch.end());
    (sent, watch)
}

const CHAT: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n: ping\n\n\
    data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n\
    data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const MESSAGES: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n\
    event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0}\n\n\
    event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\n";
const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const RESPONSES: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"error\":null}}\n\n\
    event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"delta\":\"a\"}\n\n";
const COMPLETED: &str = "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":2,\"response\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":2}}}\n\n";

#[test]
fn a_proper_stream_passes_verbatim_and_is_counted() {
    for (dialect, stream) in [
        (Dialect::Chat, [CHAT, USAGE, DONE].concat()),
        (Dialect::Responses, [RESPONSES, COMPLETED].concat()),
        (Dialect::Messages, [MESSAGES, STOP].concat()),
    ] {
        for stream in [stream.clone(), stream.replace('\n', "\r\n")] {
            let (sent, watch) = passed(dialect, false, &stream);
            assert_eq!((sent, watch.progress()), (stream, Progress::Ended), "{dialect}");
            assert_eq!(watch.usage(), Some(Usage { input: 3, output: 2, ..Usage::default() }));
        }
    }
}

#[test]
fn the_injected_usage_is_taken_out() {
    let (sent, watch) = passed(Dialect::Chat, true, &[CHAT, USAGE, DONE].concat());
    assert_eq!((sent, watch.usage().map(|usage| usage.input)), ([CHAT, DONE].concat(), Some(3)));
    let nulls = CHAT.replace("]}\n", "],\"usage\":null}\n");
    assert_eq!(passed(Dialect::Chat, true, &[&nulls, DONE].concat()).0, [CHAT, DONE].concat());
    let with_choices = "data: {\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}], \"usage\":{\"prompt_tokens\":3}, \"x\":1e400}\n\n";
    let expected = "data: {\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}], \"x\":1e400}\n\n";
    assert_eq!(passed(Dialect::Chat, true, &[with_choices, DONE].concat()).0, [expected, DONE].concat());
}

#[test]
fn a_stream_that_breaks_off_is_no_success() {
    let begun = CHAT.split("data: {\"choices\":[{\"index\":0,\"delta\":{},").next().unwrap();
    let without_stop = MESSAGES.split("event: message_delta").next().unwrap();
    for (dialect, stream) in [
        (Dialect::Chat, begun.to_owned()),
        (Dialect::Chat, [begun, DONE].concat()),
        (Dialect::Chat, String::new()),
        (Dialect::Responses, RESPONSES.to_owned()),
        (Dialect::Responses, [RESPONSES, DONE].concat()),
        (Dialect::Messages, without_stop.to_owned()),
        (Dialect::Messages, [without_stop, STOP].concat()),
    ] {
        let (sent, watch) = passed(dialect, false, &stream);
        let error = ApiError::new(ErrorKind::Server, CUT).with_code("upstream_stream");
        let kept = stream.replace(DONE, "").replace(STOP, "");
        let number = if dialect == Dialect::Responses { 2 } else { 0 };
        assert_eq!(sent, kept + &error.event(dialect, number), "{dialect}");
        assert_eq!((watch.progress(), watch.failure().map(|error| error.status)), (Progress::Failed, Some(502)));
    }
    let broken = passed(Dialect::Chat, false, "data: {\"choices\":[{\"ind");
    assert!(broken.0.contains("is no JSON") && !broken.0.contains("ind\""));
}

#[test]
fn a_missing_last_event_is_added_once_the_model_has_stopped() {
    assert_eq!(passed(Dialect::Chat, false, CHAT).0, [CHAT, DONE].concat());
    assert_eq!(passed(Dialect::Messages, false, MESSAGES).0, [MESSAGES, STOP].concat());
    let two = CHAT.replace("\"index\":0,\"delta\":{\"content\"", "\"index\":1,\"delta\":{\"content\"");
    let (_, watch) = passed(Dialect::Chat, false, &[&two, DONE].concat());
    assert_eq!(watch.progress(), Progress::Failed, "choice 1 has no finish reason");
}

#[test]
fn failures_pass_and_end_the_stream() {
    let chat = "data: {\"error\":{\"message\":\"m\",\"type\":\"rate_limit_error\"}}\n\n";
    let messages =
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"m\"}}\n\n";
    let responses = "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"m\"}}}\n\n";
    for (dialect, failure) in [(Dialect::Chat, chat), (Dialect::Messages, messages), (Dialect::Responses, responses)] {
        let (sent, watch) = passed(dialect, false, &[failure, DONE].concat());
        assert_eq!(sent, failure);
        assert_eq!(watch.failure().map(|error| error.kind), Some(ErrorKind::RateLimit));
    }
}

#[test]
fn the_answer_begins_with_its_first_content() {
    let mut watch = Watch::new(Dialect::Chat, false);
    let mut events = Vec::new();
    Parser::default().push(CHAT.as_bytes(), &mut events).unwrap();
    let steps: Vec<Progress> = events.iter().map(|event| (watch.look(event), watch.progress()).1).collect();
    let expected = [Progress::Waiting, Progress::Waiting, Progress::Answering, Progress::Stopped];
    assert_eq!(steps, expected);
}

#[test]
fn a_stream_that_is_broken_off_gets_one_error_with_the_next_number() {
    let mut watch = Watch::new(Dialect::Responses, false);
    let mut events = Vec::new();
    Parser::default().push(RESPONSES.as_bytes(), &mut events).unwrap();
    events.iter().for_each(|event| assert_eq!(watch.look(event), Verdict::Pass));
    let event = watch.break_off(ApiError::new(ErrorKind::Timeout, "silent"));
    assert!(event.contains("\"message\":\"silent\"") && event.contains("\"sequence_number\":2"), "{event}");
    assert_eq!((watch.progress(), watch.end()), (Progress::Failed, None));
    assert_eq!(watch.break_off(ApiError::new(ErrorKind::Timeout, "again")), "");
}
