//! Lua's grammar, as far as the outline of a cell needs it: its statements and the local variables
//! they declare.

use super::lexer::{Kind, Token};

/// Deepest nesting that is read; Lua itself gives up at 200.
const DEPTH_MAX: usize = 190;

/// Operators between two operands.
const BINARY: &[&str] = &[
    "+", "-", "*", "/", "//", "^", "%", "&", "~", "|", ">>", "<<", "..", "<", "<=", ">", ">=",
    "==", "~=", "and", "or",
];

/// One statement of the outermost block.
#[derive(Debug, Default)]
pub(super) struct Statement<'a> {
    /// Where it begins.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
    /// The local variables it declares.
    pub(super) locals: Vec<&'a str>,
    /// Whether it is a call.
    pub(super) is_call: bool,
}

/// What the outermost block is made of.
#[derive(Debug, Default)]
pub(super) struct Outline<'a> {
    /// Its statements, as far as they can be read.
    pub(super) statements: Vec<Statement<'a>>,
    /// Where the first statement begins that is none, if there is one.
    pub(super) unread: Option<usize>,
}

impl<'a> Outline<'a> {
    /// Reads tokens up to where they follow the grammar no more.
    pub(super) fn read(tokens: &[Token<'a>]) -> Self {
        let mut reader = Reader {
            tokens,
            at: 0,
            depth: 0,
        };
        let mut outline = Self::default();
        while let Some(token) = reader.peek() {
            let start = token.start;
            let statement = reader.statement();
            // No statement begins with an operator, so a call before one is the beginning of an
            // expression.
            let statement = statement.filter(|it| !(it.is_call && reader.is_at_operator()));
            let Some(mut statement) = statement else {
                outline.unread = Some(start);
                break;
            };
            statement.start = start;
            statement.end = tokens[reader.at - 1].end();
            let is_empty = tokens[reader.at - 1].start == start && token.is(";");
            if !is_empty {
                outline.statements.push(statement);
            }
        }
        outline
    }
}

/// Recognises Lua's grammar; answers `None` where the text does not follow it.
struct Reader<'t, 'a> {
    tokens: &'t [Token<'a>],
    at: usize,
    depth: usize,
}

impl<'a> Reader<'_, 'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at).copied()
    }

    fn is(&self, text: &str) -> bool {
        self.peek().is_some_and(|token| token.is(text))
    }

    fn is_at_operator(&self) -> bool {
        BINARY.iter().any(|operator| self.is(operator))
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.is(text);
        self.at += usize::from(found);
        found
    }

    fn want(&mut self, text: &str) -> Option<()> {
        self.take(text).then_some(())
    }

    fn name(&mut self) -> Option<&'a str> {
        let token = self.peek().filter(|token| token.kind == Kind::Name)?;
        self.at += 1;
        Some(token.text)
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.depth += 1;
        let read = (self.depth <= DEPTH_MAX).then(|| read(self)).flatten();
        self.depth -= 1;
        read
    }

    fn block(&mut self) -> Option<()> {
        self.nested(|reader| {
            while let Some(token) = reader.peek() {
                if ["end", "else", "elseif", "until"]
                    .iter()
                    .any(|it| token.is(it))
                {
                    return Some(());
                }
                reader.statement()?;
            }
            Some(())
        })
    }

    fn block_to_end(&mut self) -> Option<()> {
        self.block()?;
        self.want("end")
    }

    fn statement(&mut self) -> Option<Statement<'a>> {
        let token = self.peek()?;
        if token.kind != Kind::Keyword && !token.is(";") && !token.is("::") {
            return self.call_or_assignment();
        }
        self.at += 1;
        match token.text {
            ";" | "break" => {}
            "::" => {
                self.name()?;
                self.want("::")?;
            }
            "goto" => drop(self.name()?),
            "do" => self.block_to_end()?,
            "while" => {
                self.expression()?;
                self.want("do")?;
                self.block_to_end()?;
            }
            "repeat" => {
                self.block()?;
                self.want("until")?;
                self.expression()?;
            }
            "if" => self.conditional()?,
            "for" => self.loop_over()?,
            "function" => {
                self.name()?;
                while self.take(".") {
                    self.name()?;
                }
                if self.take(":") {
                    self.name()?;
                }
                self.function_body()?;
            }
            "local" => return self.local(),
            "return" => {
                let ends = ["end", "else", "elseif", "until", ";"]
                    .iter()
                    .any(|it| self.is(it));
                if !ends && self.peek().is_some() {
                    self.expressions()?;
                }
                self.take(";");
            }
            _ => return None,
        }
        Some(Statement::default())
    }

    fn conditional(&mut self) -> Option<()> {
        loop {
            self.expression()?;
            self.want("then")?;
            self.block()?;
            if !self.take("elseif") {
                break;
            }
        }
        if self.take("else") {
            self.block()?;
        }
        self.want("end")
    }

    fn loop_over(&mut self) -> Option<()> {
        self.name()?;
        if self.take("=") {
            self.expressions()?;
        } else {
            while self.take(",") {
                self.name()?;
            }
            self.want("in")?;
            self.expressions()?;
        }
        self.want("do")?;
        self.block_to_end()
    }

    fn local(&mut self) -> Option<Statement<'a>> {
        let mut locals = Vec::new();
        if self.take("function") {
            locals.push(self.name()?);
            self.function_body()?;
        } else {
            loop {
                let name = self.name()?;
                let attribute = if self.take("<") {
                    let attribute = self.name()?;
                    self.want(">")?;
                    attribute
                } else {
                    ""
                };
                // What is closed at the end of the cell is of no use after it.
                if attribute != "close" {
                    locals.push(name);
                }
                if !self.take(",") {
                    break;
                }
            }
            if self.take("=") {
                self.expressions()?;
            }
        }
        Some(Statement {
            locals,
            ..Statement::default()
        })
    }

    fn call_or_assignment(&mut self) -> Option<Statement<'a>> {
        let is_call = self.suffixed()?;
        if self.is("=") || self.is(",") {
            if is_call {
                return None;
            }
            while self.take(",") {
                if self.suffixed()? {
                    return None;
                }
            }
            self.want("=")?;
            self.expressions()?;
            return Some(Statement::default());
        }
        is_call.then_some(Statement {
            is_call,
            ..Statement::default()
        })
    }

    fn expressions(&mut self) -> Option<()> {
        self.expression()?;
        while self.take(",") {
            self.expression()?;
        }
        Some(())
    }

    fn expression(&mut self) -> Option<()> {
        const UNARY: &[&str] = &["not", "-", "#", "~"];
        self.nested(|reader| {
            loop {
                while UNARY.iter().any(|operator| reader.take(operator)) {}
                reader.operand()?;
                if !BINARY.iter().any(|operator| reader.take(operator)) {
                    return Some(());
                }
            }
        })
    }

    fn operand(&mut self) -> Option<()> {
        let token = self.peek()?;
        let is_constant = matches!(token.kind, Kind::Number | Kind::Text)
            || ["nil", "true", "false", "..."]
                .iter()
                .any(|it| token.is(it));
        if is_constant {
            self.at += 1;
            return Some(());
        }
        if self.is("{") {
            return self.table();
        }
        if self.take("function") {
            return self.function_body();
        }
        self.suffixed().map(drop)
    }

    /// Reads a variable, a call or what is in parentheses; answers whether it is a call.
    fn suffixed(&mut self) -> Option<bool> {
        if self.take("(") {
            self.expression()?;
            self.want(")")?;
        } else {
            self.name()?;
        }
        let mut is_call = false;
        while let Some(token) = self.peek() {
            if self.take(".") {
                self.name()?;
                is_call = false;
            } else if self.take("[") {
                self.expression()?;
                self.want("]")?;
                is_call = false;
            } else if self.take(":") {
                self.name()?;
                self.arguments()?;
                is_call = true;
            } else if token.kind == Kind::Text || token.is("(") || token.is("{") {
                self.arguments()?;
                is_call = true;
            } else {
                break;
            }
        }
        Some(is_call)
    }

    fn arguments(&mut self) -> Option<()> {
        if self.is("{") {
            return self.table();
        }
        if self.peek()?.kind == Kind::Text {
            self.at += 1;
            return Some(());
        }
        self.want("(")?;
        if self.take(")") {
            return Some(());
        }
        self.expressions()?;
        self.want(")")
    }

    fn table(&mut self) -> Option<()> {
        self.want("{")?;
        while !self.take("}") {
            let is_named = self.peek()?.kind == Kind::Name
                && self
                    .tokens
                    .get(self.at + 1)
                    .is_some_and(|token| token.is("="));
            if self.take("[") {
                self.expression()?;
                self.want("]")?;
                self.want("=")?;
            } else if is_named {
                self.at += 2;
            }
            self.expression()?;
            if !self.take(",") && !self.take(";") {
                return self.want("}");
            }
        }
        Some(())
    }

    fn function_body(&mut self) -> Option<()> {
        self.want("(")?;
        while !self.take(")") {
            if !self.take("...") {
                self.name()?;
            }
            if !self.take(",") {
                self.want(")")?;
                break;
            }
        }
        self.block_to_end()
    }
}
