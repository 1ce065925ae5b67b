//! The pickle machine without its hands: it keeps a stack of what would be made, and makes nothing.
//!
//! A pickle is a program. Python's own reader imports what it names and calls it; here a name is a name, and a call
//! is what it was called with. The opcodes are those of Python's `pickletools`, protocols 0 to 5.

use std::collections::HashMap;

/// Most steps of a program. A login takes some hundreds; a folder of logins some thousands.
const MAX_STEPS: usize = 200_000;

/// Index into [`Pickle::nodes`].
pub(super) type Id = usize;

/// What a step would have made.
#[derive(Debug)]
pub(super) enum Node<'a> {
    /// A text, or bytes that are one: a part of the file, so that no copy of a secret is left behind.
    Text(&'a str),
    /// A list, a tuple, a set.
    List(Vec<Id>),
    /// A dictionary, in order: what comes later counts.
    Dict(Vec<(Id, Id)>),
    /// What a call would have answered: what it was called with, and what it was filled with afterwards.
    Object { with: Option<Id>, state: Vec<Id> },
    /// A number, a name, nothing.
    Other,
}

/// What a program would have made.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    nodes: Vec<Node<'a>>,
    top: Id,
}

/// It is no whole pickle, or too long a one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken(pub(super) &'static str);

impl<'a> Pickle<'a> {
    /// What `bytes` would have made.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Broken> {
        let mut machine = Machine { rest: bytes, ..Machine::default() };
        for _ in 0..MAX_STEPS {
            let code = machine.byte()?;
            if code == b'.' {
                let top = machine.pop()?;
                return Ok(Self { nodes: machine.nodes, top });
            }
            machine.step(code)?;
        }
        Err(Broken("it is a pickle of more steps than any login takes"))
    }

    /// Where to begin.
    pub(super) fn top(&self) -> Id {
        self.top
    }

    pub(super) fn get(&self, id: Id) -> &Node<'a> {
        &self.nodes[id]
    }

    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// How much there is at most to walk through.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }
}

#[derive(Default)]
struct Machine<'a> {
    rest: &'a [u8],
    nodes: Vec<Node<'a>>,
    stack: Vec<Id>,
    /// How high the stack was at each mark.
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
}

const CUT_OFF: Broken = Broken("it is a pickle that was cut off, or changed");

impl<'a> Machine<'a> {
    fn step(&mut self, code: u8) -> Result<(), Broken> {
        match code {
            // PROTO, FRAME: how it is packed.
            0x80 => self.skip(1),
            0x95 => self.skip(8),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => self.discard(),
            b'1' => self.since_mark().map(drop),
            b'2' => self.last().map(|id| self.stack.push(id)),
            _ => self.value(code),
        }
    }

    /// Opcodes that put a value onto the stack.
    fn value(&mut self, code: u8) -> Result<(), Broken> {
        match code {
            // NONE, True, False
            b'N' | 0x88 | 0x89 => self.push(Node::Other),
            // Numbers and names in text: INT, LONG, FLOAT, PERSID
            b'I' | b'L' | b'F' | b'P' => self.line().and_then(|_| self.push(Node::Other)),
            // BININT, BININT1, BININT2, BINFLOAT
            b'J' => self.skipped(4),
            b'K' => self.skipped(1),
            b'M' => self.skipped(2),
            b'G' => self.skipped(8),
            // LONG1, LONG4
            0x8a => self.counted(1).and_then(|_| self.push(Node::Other)),
            0x8b => self.counted(4).and_then(|_| self.push(Node::Other)),
            // EXT1, EXT2, EXT4
            0x82 => self.skipped(1),
            0x83 => self.skipped(2),
            0x84 => self.skipped(4),
            // NEXT_BUFFER: what lies elsewhere
            0x97 => self.push(Node::Other),
            // GLOBAL: a name in two lines
            b'c' => self.line().and_then(|_| self.line()).and_then(|_| self.push(Node::Other)),
            // BINPERSID, READONLY_BUFFER: in the place of another
            b'Q' => self.discard().and_then(|()| self.push(Node::Other)),
            0x98 => self.last().map(drop),
            _ => self.text(code),
        }
    }

    fn text(&mut self, code: u8) -> Result<(), Broken> {
        let bytes = match code {
            // STRING, in quotes; UNICODE, with escapes that no token needs
            b'S' => unquoted(self.line()?),
            b'V' => self.line()?,
            // SHORT_BINSTRING, SHORT_BINBYTES, SHORT_BINUNICODE
            b'U' | b'C' | 0x8c => self.counted(1)?,
            // BINSTRING, BINBYTES, BINUNICODE
            b'T' | b'B' | b'X' => self.counted(4)?,
            // BINUNICODE8, BINBYTES8, BYTEARRAY8
            0x8d | 0x8e | 0x96 => self.counted(8)?,
            _ => return self.whole(code),
        };
        // What is no text is no part of a login either.
        let node = std::str::from_utf8(bytes).map_or(Node::Other, Node::Text);
        self.push(node)
    }

    /// Opcodes for things with parts.
    fn whole(&mut self, code: u8) -> Result<(), Broken> {
        match code {
            // EMPTY_TUPLE, EMPTY_LIST, EMPTY_SET
            b')' | b']' | 0x8f => self.push(Node::List(Vec::new())),
            b'}' => self.push(Node::Dict(Vec::new())),
            // TUPLE, LIST, FROZENSET
            b't' | b'l' | 0x91 => self.since_mark().and_then(|parts| self.push(Node::List(parts))),
            b'd' => self.since_mark().and_then(|parts| self.push(Node::Dict(pairs(&parts)))),
            // TUPLE1 to TUPLE3
            0x85..=0x87 => {
                let count = usize::from(code - 0x84);
                let at =
                    self.stack.len().checked_sub(count).filter(|at| *at >= self.floor()).ok_or(CUT_OFF)?;
                let parts = self.stack.split_off(at);
                self.push(Node::List(parts))
            }
            // APPEND, APPENDS, ADDITEMS, SETITEM, SETITEMS
            b'a' => self.pop().and_then(|part| self.add(&[part])),
            b'e' | 0x90 => self.since_mark().and_then(|parts| self.add(&parts)),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.add(&[key, value])
            }
            b'u' => self.since_mark().and_then(|parts| self.add(&parts)),
            _ => self.object(code),
        }
    }

    /// Opcodes at which Python calls something.
    fn object(&mut self, code: u8) -> Result<(), Broken> {
        match code {
            // REDUCE, NEWOBJ: of something, with arguments
            b'R' | 0x81 => {
                let with = self.pop()?;
                self.pop()?;
                self.push(Node::Object { with: Some(with), state: Vec::new() })
            }
            // NEWOBJ_EX: with named ones too
            0x92 => {
                let named = self.pop()?;
                let with = self.pop()?;
                self.pop()?;
                self.push(Node::Object { with: Some(with), state: vec![named] })
            }
            // OBJ, INST: everything since the mark
            b'o' => self.called(),
            b'i' => self.line().and_then(|_| self.line()).and_then(|_| self.called()),
            // STACK_GLOBAL: a name in two texts
            0x93 => {
                self.pop()?;
                self.pop()?;
                self.push(Node::Other)
            }
            // BUILD: fills what is below
            b'b' => {
                let state = self.pop()?;
                let below = self.last()?;
                match &mut self.nodes[below] {
                    Node::Object { state: known, .. } => known.push(state),
                    node => *node = Node::Object { with: None, state: vec![state] },
                }
                Ok(())
            }
            _ => self.memory(code),
        }
    }

    fn called(&mut self) -> Result<(), Broken> {
        let parts = self.since_mark()?;
        self.push(Node::List(parts))?;
        let with = self.pop()?;
        self.push(Node::Object { with: Some(with), state: Vec::new() })
    }

    /// What was made before.
    fn memory(&mut self, code: u8) -> Result<(), Broken> {
        match code {
            // PUT, BINPUT, LONG_BINPUT, MEMOIZE
            b'p' => self.decimal().and_then(|at| self.remember(at)),
            b'q' => self.number(1).and_then(|at| self.remember(at)),
            b'r' => self.number(4).and_then(|at| self.remember(at)),
            0x94 => self.remember(self.memo.len()),
            // GET, BINGET, LONG_BINGET
            b'g' => self.decimal().and_then(|at| self.recall(at)),
            b'h' => self.number(1).and_then(|at| self.recall(at)),
            b'j' => self.number(4).and_then(|at| self.recall(at)),
            _ => Err(Broken("it has a step that no pickle has")),
        }
    }

    fn remember(&mut self, at: usize) -> Result<(), Broken> {
        let id = self.last()?;
        self.memo.insert(at, id);
        Ok(())
    }

    fn recall(&mut self, at: usize) -> Result<(), Broken> {
        let id = *self.memo.get(&at).ok_or(CUT_OFF)?;
        self.stack.push(id);
        Ok(())
    }

    /// Adds parts to what is below them.
    fn add(&mut self, parts: &[Id]) -> Result<(), Broken> {
        let below = self.last()?;
        match &mut self.nodes[below] {
            Node::List(known) => known.extend(parts),
            Node::Dict(known) => known.extend(pairs(parts)),
            // An object that would have been asked to take them.
            Node::Object { state, .. } => state.extend(parts),
            Node::Text(_) | Node::Other => return Err(CUT_OFF),
        }
        Ok(())
    }

    fn push(&mut self, node: Node<'a>) -> Result<(), Broken> {
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
        Ok(())
    }

    /// Nothing below the last mark is taken without it.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn last(&self) -> Result<Id, Broken> {
        self.stack[self.floor().min(self.stack.len())..].last().copied().ok_or(CUT_OFF)
    }

    fn pop(&mut self) -> Result<Id, Broken> {
        self.last()?;
        self.stack.pop().ok_or(CUT_OFF)
    }

    /// POP takes a mark, if that is the last that was put there.
    fn discard(&mut self) -> Result<(), Broken> {
        match self.marks.last() == Some(&self.stack.len()) {
            true => self.marks.pop().map(drop).ok_or(CUT_OFF),
            false => self.pop().map(drop),
        }
    }

    fn since_mark(&mut self) -> Result<Vec<Id>, Broken> {
        let at = self.marks.pop().filter(|at| *at <= self.stack.len()).ok_or(CUT_OFF)?;
        Ok(self.stack.split_off(at))
    }

    fn byte(&mut self) -> Result<u8, Broken> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Broken> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(CUT_OFF)?;
        self.rest = rest;
        Ok(taken)
    }

    fn skip(&mut self, count: usize) -> Result<(), Broken> {
        self.take(count).map(drop)
    }

    fn skipped(&mut self, count: usize) -> Result<(), Broken> {
        self.skip(count).and_then(|()| self.push(Node::Other))
    }

    /// A number of so many bytes, the lowest first.
    fn number(&mut self, width: usize) -> Result<usize, Broken> {
        let bytes = self.take(width)?;
        let number = bytes.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        usize::try_from(number).map_err(|_| CUT_OFF)
    }

    /// As many bytes as the number before them says; nothing is allocated for them.
    fn counted(&mut self, width: usize) -> Result<&'a [u8], Broken> {
        let count = self.number(width)?;
        self.take(count)
    }

    fn line(&mut self) -> Result<&'a [u8], Broken> {
        let end = self.rest.iter().position(|byte| *byte == b'\n').ok_or(CUT_OFF)?;
        let line = self.take(end)?;
        self.skip(1)?;
        Ok(line)
    }

    fn decimal(&mut self) -> Result<usize, Broken> {
        let line = std::str::from_utf8(self.line()?).map_err(|_| CUT_OFF)?;
        line.trim().parse().map_err(|_| CUT_OFF)
    }
}

fn pairs(parts: &[Id]) -> Vec<(Id, Id)> {
    parts.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

/// A text of Python 2, as `repr` writes it; with an escape in it, it is no token.
fn unquoted(line: &[u8]) -> &[u8] {
    match line {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        _ => line,
    }
}
