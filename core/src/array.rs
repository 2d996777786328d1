//! Reads array literals as Postgres prints them: `{1,NULL,"a b",{…}}`, with `[0:2]=` before it where the bounds are
//! not the usual ones. Sinks call it to make their own lists; what the elements mean is not its matter.
//!
//! The delimiter is the comma, as for every type Postgres ships except `box`, whose arrays therefore travel as
//! [`Type::Other`](crate::Type) and not as an array.

use std::borrow::Cow;

use crate::{Error, Result};

/// An array literal, cut into its two parts; its inside is checked by [`Array::tokens`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Array<'a> {
    /// `[0:2][1:1]` where the lower bounds are not all 1.
    pub bounds: Option<&'a [u8]>,
    body: &'a [u8],
    /// Where `body` starts in the literal, for messages.
    offset: usize,
}

/// A piece of an array, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    /// `{`
    Open,
    /// `}`
    Close,
    /// An element that is NULL.
    Null,
    /// An element.
    Element(Element<'a>),
}

/// The text of an element, perhaps with backslashes that escape the byte behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> Array<'a> {
    /// Cuts a literal into bounds and body.
    ///
    /// # Errors
    /// `Data` where it is neither `{…}` nor `[…]={…}`.
    pub fn parse(text: &'a [u8]) -> Result<Self> {
        let (bounds, body, offset) = if text.first() == Some(&b'[') {
            let Some(equals) = text.iter().position(|&byte| byte == b'=') else {
                return Err(malformed(text.len()));
            };
            let (bounds, rest) = text.split_at_checked(equals).unwrap_or((text, &[]));
            if !bounds.iter().all(|byte| matches!(byte, b'[' | b']' | b':' | b'-' | b'+' | b'0'..=b'9')) {
                return Err(malformed(0));
            }
            (Some(bounds), rest.get(1..).unwrap_or_default(), equals + 1)
        } else {
            (None, text, 0)
        };
        if body.first() == Some(&b'{') { Ok(Self { bounds, body, offset }) } else { Err(malformed(offset)) }
    }

    /// Number of dimensions: the braces it starts with. 1 for `{}`, which Postgres says has none.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.body.iter().take_while(|&&byte| byte == b'{').count()
    }

    /// The tokens, braces included. Ends after the first error; an array that ends without one was well formed.
    #[must_use]
    pub fn tokens(&self) -> Tokens<'a> {
        Tokens { body: self.body, at: 0, depth: 0, state: State::Start, offset: self.offset }
    }
}

impl<'a> Element<'a> {
    /// A text in which a backslash is only a backslash.
    #[must_use]
    pub fn plain(raw: &'a [u8]) -> Self {
        Self { raw, escaped: false }
    }

    /// The text as it stands, where nothing is escaped in it.
    #[must_use]
    pub fn as_plain(&self) -> Option<&'a [u8]> {
        if self.escaped { None } else { Some(self.raw) }
    }

    /// The element as text, copied only where something is escaped in it.
    #[must_use]
    pub fn text(&self) -> Cow<'a, [u8]> {
        if self.escaped {
            Cow::Owned(self.pieces().collect::<Vec<_>>().concat())
        } else {
            Cow::Borrowed(self.raw)
        }
    }

    /// The element as spans that, joined, are its text; for those who must not allocate.
    pub fn pieces(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        let mut rest = self.raw;
        // A byte that follows a backslash stands for itself, even if it is a backslash.
        let mut literal = 0;
        let escaped = self.escaped;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let tail = rest.get(literal..).unwrap_or_default();
            let backslash = if escaped { tail.iter().position(|&byte| byte == b'\\') } else { None };
            let end = backslash.map_or(rest.len(), |at| literal + at);
            let piece = rest.get(..end).unwrap_or_default();
            rest = rest.get(end + 1..).unwrap_or_default();
            literal = 1;
            Some(piece)
        })
    }
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The first brace.
    Start,
    /// After `{`: an element, `{` or `}`.
    Opened,
    /// After `,`: an element or `{`.
    Separated,
    /// After an element or `}`: `,` or `}`.
    Complete,
    /// After the last brace, or after an error.
    End,
}

/// See [`Array::tokens`].
#[derive(Debug, Clone)]
pub struct Tokens<'a> {
    body: &'a [u8],
    at: usize,
    depth: usize,
    state: State,
    offset: usize,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Result<Token<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::End {
            return None;
        }
        let token = self.step();
        if token.is_none() {
            self.state = State::End;
        }
        Some(token.ok_or_else(|| malformed(self.offset + self.at)))
    }
}

impl<'a> Tokens<'a> {
    /// The next token; `None` where the literal is malformed.
    fn step(&mut self) -> Option<Token<'a>> {
        let mut byte = *self.body.get(self.at)?;
        if self.state == State::Complete && byte == b',' {
            self.state = State::Separated;
            self.at += 1;
            byte = *self.body.get(self.at)?;
        }
        match (byte, self.state) {
            (b'{', State::Start | State::Opened | State::Separated) => {
                self.at += 1;
                self.depth += 1;
                self.state = State::Opened;
                Some(Token::Open)
            }
            (b'}', State::Opened | State::Complete) => {
                self.at += 1;
                self.depth -= 1;
                self.state = State::Complete;
                if self.depth == 0 {
                    self.state = State::End;
                    return (self.at == self.body.len()).then_some(Token::Close);
                }
                Some(Token::Close)
            }
            (b'"', State::Opened | State::Separated) => self.quoted(),
            (_, State::Opened | State::Separated) => self.bare(),
            (_, State::Start | State::Complete | State::End) => None,
        }
    }

    fn quoted(&mut self) -> Option<Token<'a>> {
        let start = self.at + 1;
        let mut end = start;
        let mut escaped = false;
        loop {
            match *self.body.get(end)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.body.get(end + 1)?;
                    end += 2;
                }
                _ => end += 1,
            }
        }
        self.at = end + 1;
        self.state = State::Complete;
        Some(Token::Element(Element { raw: self.body.get(start..end)?, escaped }))
    }

    fn bare(&mut self) -> Option<Token<'a>> {
        let rest = self.body.get(self.at..)?;
        let len = rest.iter().position(|byte| matches!(byte, b',' | b'{' | b'}' | b'"' | b'\\'))?;
        let raw = rest.get(..len)?;
        if raw.is_empty() || !matches!(rest.get(len), Some(b',' | b'}')) {
            return None;
        }
        self.at += len;
        self.state = State::Complete;
        if raw.eq_ignore_ascii_case(b"null") {
            return Some(Token::Null);
        }
        Some(Token::Element(Element { raw, escaped: false }))
    }
}

fn malformed(at: usize) -> Error {
    Error::data("TW-CORE-006", format!("an array literal is malformed at byte {at}"))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    fn render(text: &[u8]) -> String {
        let array = match Array::parse(text) {
            Ok(array) => array,
            Err(error) => return error.to_string(),
        };
        let mut out = String::new();
        if let Some(bounds) = array.bounds {
            write!(out, "{} ", String::from_utf8_lossy(bounds)).unwrap();
        }
        for token in array.tokens() {
            match token {
                Ok(Token::Open) => out.push('{'),
                Ok(Token::Close) => out.push('}'),
                Ok(Token::Null) => out.push('∅'),
                Ok(Token::Element(element)) => {
                    write!(out, "<{}>", String::from_utf8_lossy(&element.text())).unwrap()
                }
                Err(error) => write!(out, " {error}").unwrap(),
            }
        }
        out
    }

    fn check(literals: &[&str], expected: &Expect) {
        let lines: String =
            literals.iter().map(|text| format!("{text}  →  {}\n", render(text.as_bytes()))).collect();
        expected.assert_eq(&lines);
    }

    #[test]
    fn reads_what_postgres_prints() {
        check(
            &[
                "{}",
                "{1,2}",
                r#"{NULL,"NULL",null,nullable}"#,
                r#"{"","a b","a,b","{}","say \"hi\"","back\\slash","\\\\"}"#,
                "{{1,2},{3,NULL}}",
                "[0:2]={a,b,c}",
                "[1:1][-2:-1]={{1,2}}",
                "{ä,(1)}",
            ],
            &expect![[r#"
                {}  →  {}
                {1,2}  →  {<1><2>}
                {NULL,"NULL",null,nullable}  →  {∅<NULL>∅<nullable>}
                {"","a b","a,b","{}","say \"hi\"","back\\slash","\\\\"}  →  {<><a b><a,b><{}><say "hi"><back\slash><\\>}
                {{1,2},{3,NULL}}  →  {{<1><2>}{<3>∅}}
                [0:2]={a,b,c}  →  [0:2] {<a><b><c>}
                [1:1][-2:-1]={{1,2}}  →  [1:1][-2:-1] {{<1><2>}}
                {ä,(1)}  →  {<ä><(1)>}
            "#]],
        );
    }

    #[test]
    fn names_the_byte_where_a_literal_breaks() {
        check(
            &[
                "", "x", "{", "{1", "{1,", "{1,}", "{,1}", "{1}2", "{1}}", "{{1}", "{\"a", "{\"a\\",
                "{\"a\"b}", "{a\"b}", "{a\\b}", "{1{2}}", "{{1}{2}}", "[0:1]", "[0:1]=", "[0:1]=x",
                "[a]={1}",
            ],
            &expect![[r#"
                  →  an array literal is malformed at byte 0 [TW-CORE-006]
                x  →  an array literal is malformed at byte 0 [TW-CORE-006]
                {  →  { an array literal is malformed at byte 1 [TW-CORE-006]
                {1  →  { an array literal is malformed at byte 1 [TW-CORE-006]
                {1,  →  {<1> an array literal is malformed at byte 3 [TW-CORE-006]
                {1,}  →  {<1> an array literal is malformed at byte 3 [TW-CORE-006]
                {,1}  →  { an array literal is malformed at byte 1 [TW-CORE-006]
                {1}2  →  {<1> an array literal is malformed at byte 3 [TW-CORE-006]
                {1}}  →  {<1> an array literal is malformed at byte 3 [TW-CORE-006]
                {{1}  →  {{<1>} an array literal is malformed at byte 4 [TW-CORE-006]
                {"a  →  { an array literal is malformed at byte 1 [TW-CORE-006]
                {"a\  →  { an array literal is malformed at byte 1 [TW-CORE-006]
                {"a"b}  →  {<a> an array literal is malformed at byte 4 [TW-CORE-006]
                {a"b}  →  { an array literal is malformed at byte 1 [TW-CORE-006]
                {a\b}  →  { an array literal is malformed at byte 1 [TW-CORE-006]
                {1{2}}  →  { an array literal is malformed at byte 1 [TW-CORE-006]
                {{1}{2}}  →  {{<1>} an array literal is malformed at byte 4 [TW-CORE-006]
                [0:1]  →  an array literal is malformed at byte 5 [TW-CORE-006]
                [0:1]=  →  an array literal is malformed at byte 6 [TW-CORE-006]
                [0:1]=x  →  an array literal is malformed at byte 6 [TW-CORE-006]
                [a]={1}  →  an array literal is malformed at byte 0 [TW-CORE-006]
            "#]],
        );
    }

    #[test]
    fn counts_dimensions() {
        let dimensions = |text: &'static str| Array::parse(text.as_bytes()).unwrap().dimensions();
        assert_eq!([dimensions("{}"), dimensions("{1,2}"), dimensions("[2:2][1:1]={{\"{{\"}}")], [1, 1, 2]);
    }

    #[derive(Debug, Clone)]
    enum Node {
        Leaf(Option<Vec<u8>>),
        List(Vec<Self>),
    }

    impl Node {
        /// As `array_out` writes it, quoting everything that may be quoted.
        fn print(&self, out: &mut Vec<u8>) {
            match self {
                Self::Leaf(None) => out.extend_from_slice(b"NULL"),
                Self::Leaf(Some(text)) => {
                    out.push(b'"');
                    for &byte in text {
                        if matches!(byte, b'"' | b'\\') {
                            out.push(b'\\');
                        }
                        out.push(byte);
                    }
                    out.push(b'"');
                }
                Self::List(nodes) => {
                    out.push(b'{');
                    for (index, node) in nodes.iter().enumerate() {
                        if index > 0 {
                            out.push(b',');
                        }
                        node.print(out);
                    }
                    out.push(b'}');
                }
            }
        }

        fn leaves(&self, out: &mut Vec<Option<Vec<u8>>>) {
            match self {
                Self::Leaf(leaf) => out.push(leaf.clone()),
                Self::List(nodes) => nodes.iter().for_each(|node| node.leaves(out)),
            }
        }
    }

    fn node() -> impl Strategy<Value = Node> {
        let text = proptest::collection::vec(prop_oneof![Just(b'"'), Just(b'\\'), any::<u8>()], 0..6);
        let leaf = proptest::option::of(text).prop_map(Node::Leaf);
        leaf.prop_recursive(4, 32, 5, |inner| proptest::collection::vec(inner, 0..5).prop_map(Node::List))
    }

    proptest! {
        #[test]
        fn reads_back_what_was_printed(nodes in proptest::collection::vec(node(), 0..5)) {
            let (root, mut text, mut expected, mut found) = (Node::List(nodes), Vec::new(), Vec::new(), Vec::new());
            root.print(&mut text);
            root.leaves(&mut expected);
            for token in Array::parse(&text).unwrap().tokens() {
                match token.unwrap() {
                    Token::Open | Token::Close => {}
                    Token::Null => found.push(None),
                    Token::Element(element) => found.push(Some(element.text().into_owned())),
                }
            }
            prop_assert_eq!(expected, found);
        }

        #[test]
        fn survives_any_bytes(text in "[\\[\\]{}\",\\\\:=0-9a\\x00-\\xff]{0,20}") {
            render(text.as_bytes());
        }
    }
}
