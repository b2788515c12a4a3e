-- Every field with every test it has, every class, every action, and a function that looks at every attribute.

account "work" {
  host     = "imap.example.com",
  user     = "me@example.com",
  password = secret.env "MAILRULED_TEST_PASSWORD",
  watch    = { "INBOX" },
}

webhook "desk" {
  url     = "https://desk.example.com/hook",
  include = { "text", "html", "attachments" },
}

local strings = {
  subject = subject, list_id = list_id, header = header "X-Mailer", text = text, body = body,
  ["attachment.name"] = attachment.name, ["attachment.type"] = attachment.type,
}
local addresses = {
  from = from, to = to, cc = cc, bcc = bcc, reply_to = reply_to, sender = sender, recipient = recipient,
}
local classes = {
  is_auto = is_auto, is_bounce = is_bounce, is_list = is_list, is_reply = is_reply, is_encrypted = is_encrypted,
  is_signed = is_signed,
}

local n = 0
local function add(name, condition)
  n = n + 1
  rule(name) { when = condition, actions = { flag("Test" .. n) } }
end

local function add_all(fields, tests)
  for field_name, field in pairs(fields) do
    for test_name, operand in pairs(tests) do
      local condition = operand == true and field[test_name](field) or field[test_name](field, operand)
      add(field_name .. ":" .. test_name, condition)
    end
  end
end

local tests = {
  is = "x", contains = "e", starts = "Re", ends = "s", glob = "*a*e*", exists = true,
  regex = [[(?i)\b(?<word>\w+)\b.*\d]],
  any_of = { "a", "b@c" }, in_file = "every.txt",
}
add_all(strings, tests)
add_all(addresses, tests)
add_all(addresses, { address = "me@example.com", domain = "example.com" })
for name, class in pairs(classes) do
  add(name, class)
end
add("attachment:exists", attachment:exists())
add("size:over", size:over "10KB")
add("size:under", size:under(5000))
add("age:over", age:over "1d")
add("age:under", age:under "365d")
add("has_flag", has_flag "\\Seen")
add("together", (from:domain "example.com" | ~is_list)
                & all { subject:exists(), any { is_auto, ~is_reply }, none { is_bounce } })

rule "slow regex" { when = text:regex [[(\w+\s?)+$]], actions = { flag "Slow" }, on_error = "skip" }

rule "every attribute" {
  on_error = "skip",
  run = function(msg)
    local seen = 0
    for name in ("account age attachments captures cc date flags folder from headers html in_reply_to is_auto "
                 .. "is_bounce is_encrypted is_list is_reply list_id message_id raw reasons recipient references "
                 .. "reply_text reply_to rule size subject text thread_key to uid unparsable"):gmatch "%S+" do
      seen = seen + (msg[name] ~= nil and 1 or 0)
    end
    for _, a in ipairs(msg.attachments) do
      seen = seen + #a.name + #a.content
    end
    for _, to in ipairs(msg.to) do
      seen = seen + #to.address
    end
    local answer, why = http.get("https://example.com/")
    assert(answer == nil and why)
    kv.set("seen", seen)
    msg:flag "Attributes"
    msg:unflag "Unread"
  end,
}

rule "all actions" {
  actions = { copy "Copies/${year}", flag("\\Flagged", "Work"), unflag "\\Seen", post "desk" },
}
rule "trial"   { dry_run = true, actions = { junk } }
rule "archive" { when = age:over "3650d", actions = { archive } }
rule "delete"  { when = size:under(100), actions = { delete } }
rule "move"    { when = subject:exists(), actions = { move "Done/${year}" } }
rule "stop"    { actions = { stop } }
