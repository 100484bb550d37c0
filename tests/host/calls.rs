//! The calls themselves.

use wasmi::{Caller, Engine, Error, Extern, Linker, Memory};

use model_gateway::exchange::Ending;

use super::Host;
use crate::scripted::filters::{Half, Headers, NOW, Reply};

pub(super) type Call<'c> = Caller<'c, Host>;
/// Status codes of the ABI. The SDK panics at those that Envoy should not give.
type Status = Result<i32, Error>;
const OK: Status = Ok(0);
const NOT_FOUND: Status = Ok(1);
const BAD_ARGUMENT: Status = Ok(2);
const CAS_MISMATCH: Status = Ok(8);

/// All that the module may call.
pub(super) fn linker(engine: &Engine) -> Result<Linker<Host>, Error> {
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    l.func_wrap("env", "proxy_log", |mut c: Call<'_>, _level: i32, at: i32, size: i32| -> Status {
        count(&mut c, "proxy_log");
        let line = text(&c, at, size);
        c.data_mut().log.push(line);
        OK
    })?;
    // Nobody ticks here.
    l.func_wrap("env", "proxy_set_tick_period_milliseconds", |mut c: Call<'_>, _: i32| -> Status {
        count(&mut c, "proxy_set_tick_period_milliseconds");
        OK
    })?;
    l.func_wrap("env", "proxy_get_current_time_nanoseconds", |mut c: Call<'_>, out: i32| -> Status {
        count(&mut c, "proxy_get_current_time_nanoseconds");
        write(&mut c, out, &(NOW * 1_000_000_000).to_le_bytes());
        OK
    })?;
    l.func_wrap(
        "env",
        "proxy_get_buffer_bytes",
        |mut c: Call<'_>, kind: i32, start: i32, most: i32, out: i32, size: i32| {
            count(&mut c, "proxy_get_buffer_bytes");
            let Some(bytes) = buffer(&mut c, kind) else { return NOT_FOUND };
            let start = bytes.len().min(start as usize);
            let end = bytes.len().min(start.saturating_add(most as usize));
            let bytes = bytes[start..end].to_vec();
            give(&mut c, &bytes, out, size)
        },
    )?;
    l.func_wrap(
        "env",
        "proxy_set_buffer_bytes",
        |mut c: Call<'_>, kind: i32, start: i32, size: i32, at: i32, n: i32| {
            count(&mut c, "proxy_set_buffer_bytes");
            let bytes = read(&c, at, n);
            let Some(buffer) = buffer(&mut c, kind) else { return BAD_ARGUMENT };
            buffer.splice(start as usize..buffer.len().min((start + size) as usize), bytes);
            OK
        },
    )?;
    l.func_wrap(
        "env",
        "proxy_get_header_map_value",
        |mut c: Call<'_>, map: i32, at: i32, n: i32, out: i32, size: i32| {
            count(&mut c, "proxy_get_header_map_value");
            let name = text(&c, at, n);
            let Some(headers) = headers(&mut c, map) else { return BAD_ARGUMENT };
            match headers.get(&name) {
                Some(value) => give(&mut c, &value, out, size),
                None => NOT_FOUND,
            }
        },
    )?;
    l.func_wrap(
        "env",
        "proxy_replace_header_map_value",
        |mut c: Call<'_>, map: i32, at: i32, n: i32, v: i32, vn: i32| {
            count(&mut c, "proxy_replace_header_map_value");
            let (name, value) = (text(&c, at, n), read(&c, v, vn));
            let Some(headers) = headers(&mut c, map) else { return BAD_ARGUMENT };
            headers.set(&name, value);
            OK
        },
    )?;
    l.func_wrap("env", "proxy_remove_header_map_value", |mut c: Call<'_>, map: i32, at: i32, n: i32| {
        count(&mut c, "proxy_remove_header_map_value");
        let name = text(&c, at, n);
        let Some(headers) = headers(&mut c, map) else { return BAD_ARGUMENT };
        headers.remove(&name);
        OK
    })?;
    l.func_wrap("env", "proxy_get_header_map_pairs", |mut c: Call<'_>, map: i32, out: i32, size: i32| {
        count(&mut c, "proxy_get_header_map_pairs");
        let Some(headers) = headers(&mut c, map) else { return BAD_ARGUMENT };
        let bytes = serialized(headers);
        give(&mut c, &bytes, out, size)
    })?;
    l.func_wrap("env", "proxy_set_header_map_pairs", |mut c: Call<'_>, map: i32, at: i32, n: i32| {
        count(&mut c, "proxy_set_header_map_pairs");
        let anew = pairs(&read(&c, at, n));
        let Some(headers) = headers(&mut c, map) else { return BAD_ARGUMENT };
        *headers = anew;
        OK
    })?;
    l.func_wrap("env", "proxy_get_property", |mut c: Call<'_>, at: i32, n: i32, out: i32, size: i32| {
        count(&mut c, "proxy_get_property");
        let name = text(&c, at, n);
        if name == "source\0address" {
            return give(&mut c, b"10.0.0.9:4711", out, size);
        }
        if name == "response\0flags" {
            let flags: u64 = match c.data().state.ending {
                Some(Ending::ClientLeft) => 1 << 14,
                Some(Ending::TimedOut) => 1 << 2,
                Some(Ending::Failed) => 1 << 6,
                Some(Ending::Complete) => 0,
                None => return NOT_FOUND,
            };
            return give(&mut c, &flags.to_le_bytes(), out, size);
        }
        match c.data().state.get(&name).map(<[u8]>::to_vec) {
            Some(value) => give(&mut c, &value, out, size),
            None => NOT_FOUND,
        }
    })?;
    l.func_wrap("env", "proxy_set_property", |mut c: Call<'_>, at: i32, n: i32, v: i32, vn: i32| {
        count(&mut c, "proxy_set_property");
        let (name, value) = (text(&c, at, n), read(&c, v, vn));
        c.data_mut().state.set(&name, &value);
        OK
    })?;
    l.func_wrap(
        "env",
        "proxy_get_shared_data",
        |mut c: Call<'_>, at: i32, n: i32, out: i32, size: i32, version_out: i32| {
            count(&mut c, "proxy_get_shared_data");
            let Some((record, version)) = c.data().state.record(&text(&c, at, n)) else { return NOT_FOUND };
            write(&mut c, version_out, &version.to_le_bytes());
            give(&mut c, &record, out, size)
        },
    )?;
    l.func_wrap(
        "env",
        "proxy_set_shared_data",
        |mut c: Call<'_>, at: i32, n: i32, v: i32, vn: i32, version: i32| -> Status {
            count(&mut c, "proxy_set_shared_data");
            let set = c.data().state.set_record(&text(&c, at, n), &read(&c, v, vn), version.cast_unsigned());
            if set { OK } else { CAS_MISMATCH }
        },
    )?;
    l.func_wrap(
        "env",
        "proxy_send_local_response",
        |mut c: Call<'_>, status: i32, _: i32, _: i32, at: i32, n: i32, h: i32, hn: i32, _grpc: i32| {
            count(&mut c, "proxy_send_local_response");
            let headers = pairs(&read(&c, h, hn));
            let reply = Reply { status: u16::try_from(status).unwrap(), headers, body: read(&c, at, n) };
            c.data_mut().held.reply = Some(reply);
            OK
        },
    )?;
    l.func_wrap(
        "env",
        "proxy_call_foreign_function",
        |mut c: Call<'_>, at: i32, n: i32, _: i32, _: i32, _: i32, _: i32| {
            count(&mut c, "proxy_call_foreign_function");
            if text(&c, at, n) != "clear_route_cache" {
                return NOT_FOUND;
            }
            c.data_mut().state.rerouted = true;
            OK
        },
    )?;
    l.func_wrap("env", "proxy_define_metric", |mut c: Call<'_>, _kind: i32, at: i32, n: i32, id: i32| {
        let name = text(&c, at, n);
        let all = &mut c.data_mut().statistics;
        assert!(all.iter().all(|(other, _)| *other != name), "{name} is defined twice");
        all.push((name, 0));
        let number = u32::try_from(all.len() - 1).unwrap();
        write(&mut c, id, &number.to_le_bytes());
        OK
    })?;
    l.func_wrap("env", "proxy_increment_metric", |mut c: Call<'_>, id: i32, by: i64| -> Status {
        c.data_mut().statistics[id as usize].1 += by.cast_unsigned();
        OK
    })?;
    l.func_wrap("env", "proxy_record_metric", |mut c: Call<'_>, id: i32, _value: i64| -> Status {
        // How many, of a distribution.
        c.data_mut().statistics[id as usize].1 += 1;
        OK
    })?;
    l.func_wrap("env", "proxy_close_stream", |mut c: Call<'_>, half: i32| {
        count(&mut c, "proxy_close_stream");
        let held = &mut c.data_mut().held;
        assert_eq!((half, held.half), (1, Half::Response), "only answers are reset");
        held.reset = true;
        OK
    })?;
    l.func_wrap("wasi_snapshot_preview1", "environ_sizes_get", |mut c: Call<'_>, count: i32, size: i32| {
        let host = c.data();
        let (variables, bytes) = (host.variables, u32::try_from(host.environment.len()).unwrap());
        write(&mut c, count, &variables.to_le_bytes());
        write(&mut c, size, &bytes.to_le_bytes());
        OK
    })?;
    l.func_wrap("wasi_snapshot_preview1", "environ_get", |mut c: Call<'_>, pointers: i32, at: i32| {
        let environment = c.data().environment.clone();
        let mut start = at;
        for (index, variable) in (0..).zip(environment.split_inclusive(|byte| *byte == 0)) {
            write(&mut c, pointers + 4 * index, &start.to_le_bytes());
            write(&mut c, start, variable);
            start += i32::try_from(variable.len()).unwrap();
        }
        OK
    })?;
    Ok(linker)
}

/// `count { name size, value size } { name 0 value 0 }`, numbers as u32.
fn pairs(bytes: &[u8]) -> Headers {
    let number = |index: usize| u32::from_le_bytes(bytes[4 * index..][..4].try_into().unwrap()) as usize;
    let mut at = 4 + 8 * number(0);
    let mut next = |size: usize| {
        at += size + 1;
        bytes[at - size - 1..at - 1].to_vec()
    };
    let pair = |index| (String::from_utf8(next(number(1 + 2 * index))).unwrap(), next(number(2 + 2 * index)));
    Headers((0..number(0)).map(pair).collect())
}

fn serialized(headers: &Headers) -> Vec<u8> {
    let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let sizes = headers.0.iter().flat_map(|(name, value)| [number(name.len()), number(value.len())].concat());
    let texts = headers.0.iter().flat_map(|(name, value)| [name.as_bytes(), b"\0", value, b"\0"].concat());
    number(headers.0.len()).into_iter().chain(sizes).chain(texts).collect()
}

fn count(c: &mut Call<'_>, name: &'static str) {
    *c.data_mut().calls.entry(name).or_default() += 1;
}

fn memory(c: &Call<'_>) -> Memory {
    c.get_export("memory").and_then(Extern::into_memory).unwrap()
}

fn read(c: &Call<'_>, at: i32, size: i32) -> Vec<u8> {
    memory(c).data(c)[at as usize..][..size as usize].to_vec()
}

fn text(c: &Call<'_>, at: i32, size: i32) -> String {
    String::from_utf8(read(c, at, size)).unwrap()
}

fn write(c: &mut Call<'_>, at: i32, bytes: &[u8]) {
    memory(c).write(c, at as usize, bytes).unwrap();
}

/// Bytes for the module, in memory that it allocates and frees.
fn give(c: &mut Call<'_>, bytes: &[u8], out: i32, out_size: i32) -> Status {
    let size = i32::try_from(bytes.len()).unwrap();
    let allocate = c.get_export("proxy_on_memory_allocate").and_then(Extern::into_func).unwrap();
    let at = allocate.typed::<i32, i32>(&*c)?.call(&mut *c, size)?;
    write(c, at, bytes);
    write(c, out, &at.to_le_bytes());
    write(c, out_size, &size.to_le_bytes());
    OK
}

fn headers<'c>(c: &'c mut Call<'_>, map: i32) -> Option<&'c mut Headers> {
    let held = &mut c.data_mut().held;
    held.headers.as_mut().filter(|_| map == if held.half == Half::Request { 0 } else { 2 })
}

fn buffer<'c>(c: &'c mut Call<'_>, kind: i32) -> Option<&'c mut Vec<u8>> {
    let host = c.data_mut();
    match (kind, host.held.half) {
        (7, _) => Some(&mut host.configuration),
        (0, Half::Request) | (1, Half::Response) => host.held.body.as_mut(),
        _ => None,
    }
}
