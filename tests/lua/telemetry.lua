-- The module `Telemetry`: what a script can say, whether or not somebody records it.

-- A trace, spans and errors.
local trace = Telemetry.start_trace("nightly")
assert(#trace == 32 and trace:find("^%x+$"))

-- Whose a span is, no script says.
for _, key in ipairs{"user.id", "session.id", "aikit.tenant.id", "aikit.request.id", "jupyter.message.id"} do
  local ok, why = pcall(Telemetry.start_span, "forged", {[key] = "root"})
  assert(not ok and why.kind == "invalid_args" and why.message:find(key, 1, true), tostring(why))
  local forged = Telemetry.start_span("forged")
  ok, why = pcall(forged.set_attribute, forged, key, "root")
  assert(not ok and why.kind == "invalid_args", tostring(why))
  forged:finish()
end
local span = Telemetry.start_span("load", {rows = 3})
assert(span.trace_id == "" or #span.trace_id == 32)
assert(span.span_id == "" or #span.span_id == 16)
span:set_attribute("rows", 4)
span:record_error("the file is empty")
span:finish()
span:finish()

local ok, problem = pcall(error, {kind = "timeout", message = "too late"})
assert(not ok)
Telemetry.record_error(problem)
Telemetry.end_trace()
Telemetry.end_trace()

-- Where nobody records, a caller's word goes on.
local header = "00-" .. ("ab"):rep(16) .. "-" .. ("cd"):rep(8) .. "-01"
assert(Telemetry.traceparent() == nil)
assert(Context.create{traceparent = header}:run(Telemetry.traceparent) == header)

-- Counters and histograms.
local orders = Telemetry.counter("orders", {unit = "{order}", description = "what was bought"})
assert(orders.name == "orders")
orders:add(1)
orders:add(0.5, {kind = "book"})
local wait = Telemetry.histogram("wait", {unit = "s"})
assert(wait.name == "wait")
wait:record(-0.25, {})

local function refused(fn, ...)
  local ok, problem = pcall(fn, ...)
  assert(not ok and problem.kind == "invalid_args", tostring(problem))
  return problem
end
assert(refused(orders.add, orders, -1).message:find("only grows", 1, true))
refused(Telemetry.start_span)
refused(Telemetry.counter, "x", {colour = "red"})
refused(wait.record, wait, "long")
for _, wrong in ipairs{0/0, 1/0, -1/0} do
  refused(orders.add, orders, wrong)
  refused(wait.record, wait, wrong)
end
for _, wrong in ipairs{"", "1st", "two words", ("x"):rep(256)} do
  refused(Telemetry.counter, wrong)
  refused(Telemetry.histogram, wrong)
end
refused(Telemetry.counter, "x", {unit = ("s"):rep(64)})
print("ok")
