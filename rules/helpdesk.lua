-- Mail to a helpdesk: posted to a webhook, then moved. Nothing that a program sent becomes a ticket.
--
--   local helpdesk = require "mailruled.helpdesk"
--   helpdesk {
--     webhook = "helpdesk",                            -- must be given
--     address = { "support@example.com" },             -- what it must be addressed to; default: anything
--     folder = "Tickets",                              -- where it goes once it was accepted; false: nowhere
--     automatic = "Automatic",                         -- folder for mail of programs and of `own`; or false
--     own = { "support@example.com" },                 -- the helpdesk's own senders (default: address)
--     ticket = [=[\[#(?<ticket>\d+)\]]=],              -- how a ticket's number stands in a subject
--     per_hour = 20,                                   -- tickets an hour from one sender; more are a loop
--     loops = "Loops",                                 -- folder for those
--     account = "support", watch = "INBOX", name = "helpdesk",
--   }
--
-- The body of the webhook has "extra": {"ticket": "4711"} where the subject names a ticket, else {"ticket": null}.
-- Senders are counted in the key-value space "helpdesk".

local options = require "mailruled.options"

return function(given)
  local o = options.read("mailruled.helpdesk", given, {
    webhook = { "string" },
    address = { "table", {} },
    folder = { "string", "Tickets", may_be_false = true },
    automatic = { "string", "Automatic", may_be_false = true },
    own = { "table", nil, optional = true },
    ticket = { "string", [=[\[#(?<ticket>\d+)\]]=] },
    per_hour = { "number", 20 },
    loops = { "string", "Loops" },
    account = { "string", nil, optional = true },
    watch = { "string", "INBOX" },
    name = { "string", "helpdesk" },
  })
  local own = o.own or o.address
  local pattern = re.compile(o.ticket)
  local addressed = #o.address > 0 and recipient:any_of(o.address) or nil
  local automatic = #own > 0 and (is_auto | from:any_of(own)) or is_auto
  local senders = kv.space "helpdesk"

  rule(o.name .. ": automatic") {
    account = o.account,
    folder = o.watch,
    when = options.both(automatic, addressed),
    actions = o.automatic and { move(o.automatic) } or { stop },
    continue = false,
  }

  rule(o.name .. ": tickets") {
    account = o.account,
    folder = o.watch,
    when = addressed,
    run = function(msg)
      local count = senders:incr("sender:" .. msg.from.address:lower(), 1, "1h")
      if count and count > o.per_hour then
        log.warn("more than", o.per_hour, "tickets an hour from one sender: to", o.loops)
        msg:move(o.loops)
        return
      end
      local found = pattern:captures(msg.subject)
      msg:post(o.webhook, { ticket = found and (found.ticket or found[1]) or json.null })
      if o.folder then
        msg:move(o.folder)
      end
    end,
  }
end
