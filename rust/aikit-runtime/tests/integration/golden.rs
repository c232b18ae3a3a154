//! The golden cases of the tools, in their Lua face.
