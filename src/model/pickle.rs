//! The bytes of a pickle → its values. Nothing is ever run: a class or function is a name, a call is a name with its arguments.
//!
//! Enough of protocols 2 to 5 for what `torch.save` writes, checkpoints of a trainer included. The values lie in one arena, so that
//! a value that is named twice, as Python's memo allows, is one value here too. The format: Python's `pickletools`.

use std::collections::HashMap;

/// Where a value lies in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(usize);

/// A value; only what tensors are made of keeps its content.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// What names no tensor: None, numbers with a fraction, bytes.
    Other,
    /// An integer of up to 64 bits, or a truth value as 0 or 1.
    Int(i64),
    /// A string.
    Str(String),
    /// A list, a tuple or a set.
    Items(Vec<Id>),
    /// A dictionary, or a call that was given items afterwards, as an `OrderedDict` is.
    Dict(Vec<(Id, Id)>),
    /// A class or function: module and name.
    Global(String, String),
    /// An object that a callable makes of arguments.
    Call(Id, Id),
    /// What the file keeps outside the pickle, by its key.
    Persistent(Id),
}

/// All values of a pickle.
#[derive(Debug)]
pub(super) struct Pickle {
    values: Vec<Value>,
    root: Id,
}

impl Pickle {
    /// The value the pickle stands for.
    pub fn root(&self) -> Id {
        self.root
    }

    /// A value.
    pub fn get(&self, id: Id) -> &Value {
        &self.values[id.0]
    }

    /// The string there.
    pub fn str(&self, id: Id) -> Option<&str> {
        if let Value::Str(text) = self.get(id) { Some(text) } else { None }
    }

    /// The integer there.
    pub fn int(&self, id: Id) -> Option<i64> {
        if let Value::Int(number) = self.get(id) { Some(*number) } else { None }
    }

    /// The list or tuple there.
    pub fn items(&self, id: Id) -> Option<&[Id]> {
        if let Value::Items(items) = self.get(id) { Some(items) } else { None }
    }

    /// The dictionary there.
    pub fn dict(&self, id: Id) -> Option<&[(Id, Id)]> {
        if let Value::Dict(entries) = self.get(id) { Some(entries) } else { None }
    }

    /// Every value that the file keeps outside the pickle, by what names it.
    pub fn persistent(&self) -> impl Iterator<Item = Id> {
        self.values.iter().filter_map(|value| if let Value::Persistent(key) = value { Some(*key) } else { None })
    }

    /// Module, name and arguments of the call there.
    pub fn call(&self, id: Id) -> Option<(&str, &str, &[Id])> {
        let Value::Call(callable, arguments) = *self.get(id) else { return None };
        let Value::Global(module, name) = self.get(callable) else { return None };
        Some((module, name, self.items(arguments)?))
    }
}

/// Reads a pickle. The message of an error says where.
pub(super) fn read(bytes: &[u8]) -> Result<Pickle, String> {
    read_first(bytes).map(|(pickle, _)| pickle)
}

/// Reads the pickle that `bytes` begin with, and how long it is: older files hold several in a row.
pub(super) fn read_first(bytes: &[u8]) -> Result<(Pickle, usize), String> {
    let mut machine = Machine { bytes, at: 0, values: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
    loop {
        let start = machine.at;
        match machine.step() {
            Some(Step::On) => {}
            Some(Step::Done(root)) => return Ok((Pickle { values: machine.values, root }, machine.at)),
            Some(Step::Unknown(code)) => return Err(format!("byte {start} of the pickle, {code:#04x}, is not understood")),
            None => return Err(format!("the pickle ends or contradicts itself at byte {start}")),
        }
    }
}

enum Step {
    On,
    Done(Id),
    Unknown(u8),
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl Machine<'_> {
    /// One instruction; `None` where the bytes or the stack do not hold what it needs.
    fn step(&mut self) -> Option<Step> {
        let code = self.take(1)?[0];
        match code {
            // PROTO, FRAME
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'.' => return Some(Step::Done(self.stack.pop()?)),
            // MARK, POP, POP_MARK, DUP
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.stack.pop()?),
            b'1' => drop(self.since_mark()?),
            b'2' => self.stack.push(*self.stack.last()?),
            // None, True, False, integers, a float
            b'N' => self.push(Value::Other),
            0x88 => self.push(Value::Int(1)),
            0x89 => self.push(Value::Int(0)),
            b'K' => self.push_int(1)?,
            b'M' => self.push_int(2)?,
            b'J' => {
                let four = self.take(4)?.try_into().ok()?;
                self.push(Value::Int(i32::from_le_bytes(four).into()));
            }
            0x8a => self.push_long(1)?,
            0x8b => self.push_long(4)?,
            b'G' => self.skip(8)?,
            // Unicode and, of Python 2, plain strings
            b'X' | b'T' => self.push_str(4)?,
            0x8c | b'U' => self.push_str(1)?,
            0x8d => self.push_str(8)?,
            // Bytes
            b'C' => self.skip_counted(1)?,
            b'B' => self.skip_counted(4)?,
            0x8e | 0x96 => self.skip_counted(8)?,
            // Empty list, tuple, set and dictionary
            b']' | b')' | 0x8f => self.push(Value::Items(vec![])),
            b'}' => self.push(Value::Dict(vec![])),
            // LIST, TUPLE, FROZENSET of what lies above the mark; DICT; tuples of one to three
            b'l' | b't' | 0x91 => {
                let items = self.since_mark()?;
                self.push(Value::Items(items));
            }
            b'd' => {
                let items = self.since_mark()?;
                self.push(Value::Dict(pairs(&items)));
            }
            0x85..=0x87 => {
                let first = self.stack.len().checked_sub(usize::from(code - 0x84))?;
                let items = self.stack.split_off(first);
                self.push(Value::Items(items));
            }
            // APPEND, APPENDS, ADDITEMS
            b'a' => {
                let item = self.stack.pop()?;
                self.extend_items(&[item])?;
            }
            b'e' | 0x90 => {
                let items = self.since_mark()?;
                self.extend_items(&items)?;
            }
            // SETITEM, SETITEMS
            b's' => {
                let value = self.stack.pop()?;
                let key = self.stack.pop()?;
                self.extend_dict(&[key, value])?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.extend_dict(&items)?;
            }
            // GLOBAL, STACK_GLOBAL
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(module, name));
            }
            0x93 => {
                let (name, module) = (self.stack.pop()?, self.stack.pop()?);
                let (Value::Str(name), Value::Str(module)) = (&self.values[name.0], &self.values[module.0]) else { return None };
                let global = Value::Global(module.clone(), name.clone());
                self.push(global);
            }
            // REDUCE, NEWOBJ; NEWOBJ_EX, whose named arguments are left out; BUILD, whose state is
            b'R' | 0x81 => {
                let (arguments, callable) = (self.stack.pop()?, self.stack.pop()?);
                self.push(Value::Call(callable, arguments));
            }
            0x92 => {
                let (_named, arguments, callable) = (self.stack.pop()?, self.stack.pop()?, self.stack.pop()?);
                self.push(Value::Call(callable, arguments));
            }
            b'b' => drop(self.stack.pop()?),
            // BINPERSID
            b'Q' => {
                let key = self.stack.pop()?;
                self.push(Value::Persistent(key));
            }
            // MEMOIZE, BINPUT, LONG_BINPUT, BINGET, LONG_BINGET
            0x94 => drop(self.memo.insert(self.memo.len() as u32, *self.stack.last()?)),
            b'q' | b'r' => {
                let slot = self.uint(if code == b'q' { 1 } else { 4 })? as u32;
                self.memo.insert(slot, *self.stack.last()?);
            }
            b'h' | b'j' => {
                let slot = self.uint(if code == b'h' { 1 } else { 4 })? as u32;
                self.stack.push(*self.memo.get(&slot)?);
            }
            unknown => return Some(Step::Unknown(unknown)),
        }
        Some(Step::On)
    }

    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    /// An unsigned little-endian integer of up to 8 bytes.
    fn uint(&mut self, bytes: usize) -> Option<u64> {
        Some(self.take(bytes)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn line(&mut self) -> Option<String> {
        let rest = self.bytes.get(self.at..)?;
        let length = rest.iter().position(|&byte| byte == b'\n')?;
        self.at += length + 1;
        String::from_utf8(rest[..length].to_vec()).ok()
    }

    fn push(&mut self, value: Value) {
        self.stack.push(Id(self.values.len()));
        self.values.push(value);
    }

    fn push_int(&mut self, bytes: usize) -> Option<()> {
        let number = self.uint(bytes)?;
        self.push(Value::Int(number as i64));
        Some(())
    }

    /// Two's complement of any length; beyond 64 bits no tensor needs it.
    fn push_long(&mut self, counter: usize) -> Option<()> {
        let count = self.uint(counter)? as usize;
        let bytes = self.take(count)?;
        let sign = if bytes.last().is_some_and(|&byte| byte >= 0x80) { -1 } else { 0 };
        let number = bytes.iter().rev().fold(sign, |number: i64, &byte| number << 8 | i64::from(byte));
        self.push(if count <= 8 { Value::Int(number) } else { Value::Other });
        Some(())
    }

    fn push_str(&mut self, counter: usize) -> Option<()> {
        let count = usize::try_from(self.uint(counter)?).ok()?;
        let text = String::from_utf8_lossy(self.take(count)?).into_owned();
        self.push(Value::Str(text));
        Some(())
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.take(count)?;
        self.push(Value::Other);
        Some(())
    }

    fn skip_counted(&mut self, counter: usize) -> Option<()> {
        let count = usize::try_from(self.uint(counter)?).ok()?;
        self.skip(count)
    }

    fn since_mark(&mut self) -> Option<Vec<Id>> {
        let height = self.marks.pop()?;
        (height <= self.stack.len()).then(|| self.stack.split_off(height))
    }

    /// Adds to the list on top of the stack; to anything else, such as a list of a class of its own, nothing is added.
    fn extend_items(&mut self, more: &[Id]) -> Option<()> {
        let top = *self.stack.last()?;
        if let Value::Items(items) = &mut self.values[top.0] {
            items.extend_from_slice(more);
        }
        Some(())
    }

    /// Adds to the dictionary on top of the stack. A call that is given items, as `OrderedDict()` is, becomes one.
    fn extend_dict(&mut self, items: &[Id]) -> Option<()> {
        let top = *self.stack.last()?;
        match &mut self.values[top.0] {
            Value::Dict(entries) => entries.extend(pairs(items)),
            other => *other = Value::Dict(pairs(items)),
        }
        Some(())
    }
}

fn pairs(items: &[Id]) -> Vec<(Id, Id)> {
    items.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_dictionary_by_hand() {
        // {"a": 258, "b": (-1, [True])} in protocol 2.
        let pickle = read(b"\x80\x02}q\0(X\x01\0\0\0aM\x02\x01X\x01\0\0\0bJ\xff\xff\xff\xff]q\x01\x88a\x86u.").unwrap();
        let entries = pickle.dict(pickle.root()).unwrap();
        assert_eq!((pickle.str(entries[0].0), pickle.int(entries[0].1)), (Some("a"), Some(258)));
        let pair = pickle.items(entries[1].1).unwrap();
        assert_eq!((pickle.int(pair[0]), pickle.items(pair[1]).map(<[Id]>::len)), (Some(-1), Some(1)));
    }

    #[test]
    fn an_ordered_dict_that_is_filled_after_it_was_memoised_is_whole_wherever_it_is_named() {
        // d = OrderedDict(); [d, d] with d["k"] = 7 set between the two.
        let pickle = read(b"\x80\x02](ccollections\nOrderedDict\n)Rq\x01X\x01\0\0\0kK\x07sh\x01e.").unwrap();
        let both = pickle.items(pickle.root()).unwrap();
        assert_eq!(both[0], both[1]);
        let entry = pickle.dict(both[0]).unwrap()[0];
        assert_eq!((pickle.str(entry.0), pickle.int(entry.1)), (Some("k"), Some(7)));
    }

    #[test]
    fn a_call_is_a_name_with_arguments_and_is_not_run() {
        let pickle = read(b"cos\nsystem\nX\x02\0\0\0ls\x85R.").unwrap();
        let (module, name, arguments) = pickle.call(pickle.root()).unwrap();
        assert_eq!((module, name, pickle.str(arguments[0])), ("os", "system", Some("ls")));
    }

    #[test]
    fn long_integers_keep_their_sign() {
        let long = |bytes: &[u8]| {
            let pickle = read(&[&[0x8a, bytes.len() as u8], bytes, b"."].concat()).unwrap();
            pickle.int(pickle.root())
        };
        assert_eq!(long(&[]), Some(0));
        assert_eq!(long(&[0xff]), Some(-1));
        assert_eq!(long(&[0xff, 0x00]), Some(255));
        assert_eq!(long(&[0, 0, 0, 0, 1]), Some(1 << 32));
        assert_eq!(long(&[1; 9]), None);
    }

    #[test]
    fn faults_say_where() {
        assert_eq!(read(b"\x80\x02}").unwrap_err(), "the pickle ends or contradicts itself at byte 3");
        assert_eq!(read(b"\x80\x02\xee.").unwrap_err(), "byte 2 of the pickle, 0xee, is not understood");
        assert!(read(b"X\xff\xff\xff\xffa.").is_err());
        assert!(read(b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffa.").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, codes in proptest::collection::vec(prop::sample::select(&b"(.012NK]}){tleausRQbqh\x81\x85\x86\x93\x94"[..]), 0..40)) {
            drop(read(&bytes));
            drop(read(&codes));
        }
    }
}
