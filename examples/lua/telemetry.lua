-- Records and measurements of a script. Run it with a receiver of OpenTelemetry on this machine,
--
--   OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 AIKIT_LOGGING__LEVEL=info aikit run FILE
--
-- and it shows the spans and counts; without one it only prints its answer.

local log = Log.for_component("orders"):child{shop = "books"}
local placed = Telemetry.counter("orders.placed", {unit = "{order}"})
local waited = Telemetry.histogram("orders.wait", {unit = "s"})

local function place(order)
  local span = Telemetry.start_span("place order", {["order.id"] = order.id})
  local price = Tool.calculate{expression = order.count .. " * " .. order.price}
  placed:add(1, {kind = order.kind})
  waited:record(0.01)
  log:info("placed", {id = order.id, price = price.value})
  span:finish()
  return price.value
end

print(place{id = 1, kind = "novel", count = 2, price = 12})
print(place{id = 2, kind = "atlas", count = 1, price = 30})
