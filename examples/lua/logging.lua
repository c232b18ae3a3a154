-- Records of a script. Where they go is for whoever runs it to say, such as
--
--   AIKIT_LOGGING__FORMAT=json AIKIT_LOGGING__LEVEL=debug aikit run FILE
--
-- for lines of JSON on standard error; each carries the ids of its request, trace and procedure.

-- What every record carries: fields of the script, and (in the list part) metadata of the Context
-- that it is written in. Of several tables the later wins.
local common = {app = "shop", stage = "test"}
local fields = Log.compose_context_fields{common, {"conversation_id", stage = "live"}}
print(fields.app, fields.stage, fields[1])

-- Only what is more severe than a level is given out; the fields stay as they are.
Log.configure{context_fields = fields}
Log.configure{level = "warn"}
print("info", Log.is_level_enabled("info"))

local log = Log.for_component("orders"):child{shop = "books"}
Context.fork({metadata = {conversation_id = "c-1"}}, function()
  log:info("not given out")
  log:warn("placed twice", {order = 7})
end)

-- `replace` begins anew: what is not named goes back to its default.
Log.configure{level = "debug", replace = true}
Log.debug("only the fields that come by themselves")
