//! A statement's words. Comments go, except those that the server executes; nothing is copied that need not be.

use std::borrow::Cow;
use std::ops::Range;

/// One word of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// A bare word: a keyword, a name, or a number that begins with a digit.
    Word(&'a str),
    /// A name in back-quotes.
    Quoted(Cow<'a, str>),
    /// What stands in double quotes: a name or a text, by `ANSI_QUOTES`.
    Double(Cow<'a, str>),
    /// A text in single quotes.
    Text(Cow<'a, str>),
    /// One with a backslash in it, which means itself under `NO_BACKSLASH_ESCAPES`: what it says cannot be told.
    Escaped,
    /// `X'..'`, `0x..`: hexadecimal digits.
    Hex(&'a str),
    /// `B'..'`, `0b..`: binary digits.
    Bits(&'a str),
    /// Anything else.
    Mark(char),
}

impl Token<'_> {
    /// Whether it is this keyword, given in upper case.
    pub(crate) fn is(&self, keyword: &str) -> bool {
        matches!(self, Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }
}

/// Takes a statement apart. A statement that ends inside of a quote or comment ends there.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { rest: text, executed: false };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next() {
        tokens.push(token);
    }
    tokens
}

/// The same, each word with where it stands.
pub(crate) fn placed(text: &str) -> Vec<(Token<'_>, Range<usize>)> {
    let mut lexer = Lexer { rest: text, executed: false };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks();
        let start = text.len() - lexer.rest.len();
        let Some(token) = lexer.next() else { return tokens };
        tokens.push((token, start..text.len() - lexer.rest.len()));
    }
}

struct Lexer<'a> {
    rest: &'a str,
    /// Inside of a comment that is code.
    executed: bool,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_blanks();
        let first = self.rest.chars().next()?;
        let second = self.rest.as_bytes().get(1).copied();
        match (first, second) {
            ('`', _) => Some(Token::Quoted(self.quoted('`', false))),
            ('"', _) => Some(self.text('"', Token::Double)),
            ('\'', _) => Some(self.text('\'', Token::Text)),
            ('x' | 'X' | 'b' | 'B', Some(b'\'')) => {
                let inside = self.rest.get(2..).unwrap_or_default();
                let end = inside.find('\'').unwrap_or(inside.len());
                let (digits, rest) = inside.split_at(end);
                self.rest = rest.strip_prefix('\'').unwrap_or(rest);
                Some(if first.eq_ignore_ascii_case(&'x') { Token::Hex(digits) } else { Token::Bits(digits) })
            }
            ('0', Some(b'x' | b'b')) => {
                let digits = self.word().get(2..).unwrap_or_default();
                Some(if second == Some(b'x') { Token::Hex(digits) } else { Token::Bits(digits) })
            }
            (first, _) if is_word(first) => Some(Token::Word(self.word())),
            (first, _) => {
                self.rest = self.rest.get(first.len_utf8()..).unwrap_or_default();
                Some(Token::Mark(first))
            }
        }
    }

    fn word(&mut self) -> &'a str {
        let end = self.rest.find(|character| !is_word(character)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest.trim_start_matches(is_blank);
            let after_dashes = rest
                .strip_prefix("--")
                .filter(|after| after.chars().next().is_none_or(|next| is_blank(next) || next.is_control()));
            if let Some(comment) = rest.strip_prefix('#').or(after_dashes) {
                self.rest = comment.find('\n').and_then(|end| comment.get(end..)).unwrap_or_default();
            } else if let Some(code) = rest.strip_prefix("/*!").or_else(|| rest.strip_prefix("/*M!")) {
                self.executed = true;
                self.rest = code.trim_start_matches(|digit: char| digit.is_ascii_digit());
            } else if let Some(comment) = rest.strip_prefix("/*") {
                self.rest = comment.find("*/").and_then(|end| comment.get(end + 2..)).unwrap_or_default();
            } else if let (true, Some(after)) = (self.executed, rest.strip_prefix("*/")) {
                self.executed = false;
                self.rest = after;
            } else {
                self.rest = rest;
                return;
            }
        }
    }

    fn text(&mut self, quote: char, plain: fn(Cow<'a, str>) -> Token<'a>) -> Token<'a> {
        let before = self.rest;
        let text = self.quoted(quote, true);
        let taken = before.get(..before.len() - self.rest.len()).unwrap_or_default();
        if taken.contains('\\') { Token::Escaped } else { plain(text) }
    }

    /// What stands between quotes, which doubled stand for themselves.
    fn quoted(&mut self, quote: char, escapes: bool) -> Cow<'a, str> {
        let inside = self.rest.get(1..).unwrap_or_default();
        let mut doubled = false;
        let mut characters = inside.char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            if escapes && character == '\\' {
                characters.next();
            } else if character == quote {
                if characters.next_if(|&(_, next)| next == quote).is_some() {
                    doubled = true;
                    continue;
                }
                self.rest = inside.get(at + 1..).unwrap_or_default();
                return plain(inside.get(..at).unwrap_or_default(), quote, doubled);
            }
        }
        self.rest = "";
        plain(inside, quote, doubled)
    }
}

fn plain(inside: &str, quote: char, doubled: bool) -> Cow<'_, str> {
    if !doubled {
        return Cow::Borrowed(inside);
    }
    let mut text = String::with_capacity(inside.len());
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        text.push(character);
        if character == quote {
            characters.next();
        }
    }
    Cow::Owned(text)
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '$') || !character.is_ascii()
}

/// As the servers see it, a vertical tab included.
fn is_blank(character: char) -> bool {
    character.is_ascii_whitespace() || matches!(character, '\u{b}' | '\0')
}
