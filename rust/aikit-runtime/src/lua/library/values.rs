//! What Lua has for values: `math`, `string`, `table`, `utf8`.

use super::{Entry, function, library, value};

pub(super) const ENTRIES: &[Entry] = &[
    library("math", "Numbers."),
    function(
        "math.abs",
        "number: number",
        "a number",
        "The number without its sign.",
    ),
    function(
        "math.acos",
        "number: number",
        "an angle in radians",
        "The angle whose cosine this is.",
    ),
    function(
        "math.asin",
        "number: number",
        "an angle in radians",
        "The angle whose sine this is.",
    ),
    function(
        "math.atan",
        "y: number, x?: number",
        "an angle in radians",
        "The angle whose tangent is `y / x`, in the quadrant of the point; `x` is 1 when left out.",
    ),
    function(
        "math.ceil",
        "number: number",
        "an integer, where one is that large",
        "Rounds up to a whole number.",
    ),
    function(
        "math.cos",
        "angle: number",
        "a number",
        "The cosine of an angle in radians.",
    ),
    function(
        "math.deg",
        "angle: number",
        "degrees",
        "Turns radians into degrees.",
    ),
    function(
        "math.exp",
        "number: number",
        "a number",
        "Raises e to this power.",
    ),
    function(
        "math.floor",
        "number: number",
        "an integer, where one is that large",
        "Rounds down to a whole number.",
    ),
    function(
        "math.fmod",
        "dividend: number, divisor: number",
        "a number",
        "What is left of a division that is rounded towards zero; the operator `%` rounds down.",
    ),
    value(
        "math.huge",
        "Infinity, which is larger than every other number.",
    ),
    function(
        "math.log",
        "number: number, base?: number",
        "a number",
        "The logarithm; the natural one when no base is given.",
    ),
    function(
        "math.max",
        "number: number, ...: number",
        "a number",
        "The largest of its arguments.",
    ),
    value("math.maxinteger", "The largest integer, 2^63 - 1."),
    function(
        "math.min",
        "number: number, ...: number",
        "a number",
        "The smallest of its arguments.",
    ),
    value("math.mininteger", "The smallest integer, -2^63."),
    function(
        "math.modf",
        "number: number",
        "the whole part, an integer where one is that large, and the rest as a float",
        "Splits a number at its point, rounding towards zero: `math.modf(-3.7)` gives -3 and -0.7.",
    ),
    value(
        "math.pi",
        "The circumference of a circle of diameter 1: 3.14159…",
    ),
    function(
        "math.rad",
        "degrees: number",
        "radians",
        "Turns degrees into radians.",
    ),
    function(
        "math.random",
        "least?: integer, most?: integer",
        "a number",
        "A random number: from 0 up to but not 1 without arguments, a whole one from 1 to the only \
         argument, or from the first to the second; `math.random(0)` has 64 random bits.",
    ),
    function(
        "math.randomseed",
        "seed?: number, more?: integer",
        "the two parts of the seed",
        "Has `math.random` begin a sequence that is the same for the same seed; another each time \
         when it is left out.",
    ),
    function(
        "math.sin",
        "angle: number",
        "a number",
        "The sine of an angle in radians.",
    ),
    function(
        "math.sqrt",
        "number: number",
        "a number",
        "The square root.",
    ),
    function(
        "math.tan",
        "angle: number",
        "a number",
        "The tangent of an angle in radians.",
    ),
    function(
        "math.tointeger",
        "value: any value",
        "an integer, or `nil` when the value is none",
        "Turns a float without a fraction into an integer.",
    ),
    function(
        "math.type",
        "value: any value",
        "`integer` or `float`; `nil` for what is no number",
        "Tells how a number is kept.",
    ),
    function(
        "math.ult",
        "left: integer, right: integer",
        "a boolean",
        "Whether the first is less than the second when both are taken as integers without a sign.",
    ),
    library(
        "string",
        "Texts. Each function is a method of texts as well: `text:upper()`. Positions are in bytes \
         and begin at 1; negative ones count from the end.",
    ),
    function(
        "string.byte",
        "text: string, first?: integer, last?: integer",
        "an integer for each byte",
        "Gives the bytes of a part of the text as numbers; of its first byte when left out.",
    ),
    function(
        "string.char",
        "...bytes: integer",
        "a string",
        "Puts bytes, numbers from 0 to 255, together.",
    ),
    function(
        "string.find",
        "text: string, pattern: string, start?: integer, plain?: boolean",
        "where it begins, where it ends, and its captures; `nil` when there is none",
        "Looks for the first place that fits a pattern; with `plain` for the text itself.",
    ),
    function(
        "string.format",
        "format: string, ...: any values",
        "a string",
        "Puts values in the place of directives: `%d` an integer, `%.2f` a float, `%s` anything, \
         `%q` a text that Lua can read again, `%x` hexadecimal digits, `%%` a percent sign.",
    ),
    function(
        "string.gmatch",
        "text: string, pattern: string, start?: integer",
        "what a `for` loop needs",
        "Goes through all places that fit a pattern: \
         `for word in text:gmatch('%a+') do … end` gives captures, or the whole where there are \
         none.",
    ),
    function(
        "string.gsub",
        "text: string, pattern: string, replacement: string or number or table or function, most?: integer",
        "the new text, and how many places were replaced",
        "Replaces the places that fit a pattern: by a text in which `%1` is the first capture and \
         `%0` the whole, by the member of a table whose key is the first capture, or by what a \
         function returns that gets the captures. Where the pattern has no captures the whole is \
         one. A number is taken as a text; `nil` and `false` leave a place as it is.",
    ),
    function(
        "string.len",
        "text: string",
        "an integer",
        "The number of bytes, as `#text`; `utf8.len` counts characters.",
    ),
    function(
        "string.lower",
        "text: string",
        "a string",
        "The text with small letters; only those of ASCII change.",
    ),
    function(
        "string.match",
        "text: string, pattern: string, start?: integer",
        "the captures, or the whole where there are none; `nil` when nothing fits",
        "Takes out of a text what fits a pattern: `('k=v'):match('(%w+)=(%w+)')`.",
    ),
    function(
        "string.pack",
        "format: string, ...: any values",
        "a string of bytes",
        "Writes values in a binary form: `<i4` is an integer of four bytes, the lowest one first.",
    ),
    function(
        "string.packsize",
        "format: string",
        "an integer",
        "How many bytes `string.pack` writes for a format of a fixed size.",
    ),
    function(
        "string.rep",
        "text: string, count: integer, separator?: string",
        "a string",
        "Writes a text that many times, with the separator between.",
    ),
    function(
        "string.reverse",
        "text: string",
        "a string",
        "The text with its bytes in the opposite order.",
    ),
    function(
        "string.sub",
        "text: string, first: integer, last?: integer",
        "a string",
        "Cuts out the bytes from one position to another, to the end when left out: \
         `text:sub(-3)` is the last three.",
    ),
    function(
        "string.unpack",
        "format: string, bytes: string, start?: integer",
        "the values, and the position after them",
        "Reads values that `string.pack` has written.",
    ),
    function(
        "string.upper",
        "text: string",
        "a string",
        "The text with capitals; only letters of ASCII change.",
    ),
    library("table", "Lists and tables."),
    function(
        "table.concat",
        "list: table, separator?: string, first?: integer, last?: integer",
        "a string",
        "Joins the texts and numbers of a list.",
    ),
    function(
        "table.insert",
        "list: table, position?: integer, value: any value",
        "nothing",
        "Adds a value at the end of a list, or at a position, from which the others move up.",
    ),
    function(
        "table.move",
        "from: table, first: integer, last: integer, position: integer, to?: table",
        "the table that was changed",
        "Copies items of a list to a position of the same list or of another one.",
    ),
    function(
        "table.pack",
        "...: any values",
        "a table",
        "Makes a list of its arguments; `n` is their number, `nil` included.",
    ),
    function(
        "table.remove",
        "list: table, position?: integer",
        "the value that was there",
        "Takes the last item out of a list, or the one at a position, to which the others move \
         down.",
    ),
    function(
        "table.sort",
        "list: table, is_before?: function",
        "nothing",
        "Sorts a list in place, by `<` or by a function that tells whether its first argument comes \
         before its second. Equal items may change places.",
    ),
    function(
        "table.unpack",
        "list: table, first?: integer, last?: integer",
        "the values",
        "Gives the items of a list one by one, as arguments for a call.",
    ),
    library("utf8", "Characters of texts in UTF-8."),
    function(
        "utf8.char",
        "...codes: integer",
        "a string",
        "Writes characters by their numbers in Unicode.",
    ),
    value(
        "utf8.charpattern",
        "A pattern that fits one character, for `string.gmatch`.",
    ),
    function(
        "utf8.codepoint",
        "text: string, first?: integer, last?: integer, lax?: boolean",
        "an integer for each character",
        "Gives the numbers in Unicode of the characters that begin between two bytes: of the first \
         character when no position is given, of one position when the last is left out.",
    ),
    function(
        "utf8.codes",
        "text: string, lax?: boolean",
        "what a `for` loop needs",
        "Goes through the characters of a text: `for position, code in utf8.codes(text) do … end`.",
    ),
    function(
        "utf8.len",
        "text: string, first?: integer, last?: integer, lax?: boolean",
        "an integer; `nil` and the position of the first wrong byte when it is no UTF-8",
        "Counts characters.",
    ),
    function(
        "utf8.offset",
        "text: string, number: integer, start?: integer",
        "a position in bytes, or `nil`",
        "Finds where the character of that number begins, counted from `start`.",
    ),
];
