-- What programs send by themselves: delivery reports, out-of-office notes, read receipts.
--
--   local autoreplies = require "mailruled.autoreplies"
--   autoreplies {
--     bounces = "Bounces",               -- folder for delivery reports; false: leave them
--     replies = "Auto-Replies",          -- folder for automatic answers; false: leave them
--     flag = "\\Seen",                   -- set on both before they are moved; false: none
--     except = from:domain "example.com",
--     account = "home", watch = "INBOX", name = "auto-replies",
--   }
--
-- Only answers are taken: mail of lists, and notifications that answer nothing (no In-Reply-To, no "Auto-Submitted:
-- auto-replied", none of the subjects that vacation programs use) stay where they are.

local options = require "mailruled.options"

return function(given)
  local o = options.read("mailruled.autoreplies", given, {
    bounces = { "string", "Bounces", may_be_false = true },
    replies = { "string", "Auto-Replies", may_be_false = true },
    flag = { "string", "\\Seen", may_be_false = true },
    except = { "userdata", nil, optional = true },
    account = { "string", nil, optional = true },
    watch = { "string", "INBOX" },
    name = { "string", "auto-replies" },
  })
  local unless = o.except and ~o.except

  local function add(name, when, folder)
    local actions = { move(folder) }
    if o.flag then
      table.insert(actions, 1, flag(o.flag))
    end
    rule(o.name .. ": " .. name) {
      account = o.account,
      folder = o.watch,
      when = options.both(when, unless),
      actions = actions,
    }
  end

  if o.bounces then
    add("bounces", is_bounce, o.bounces)
  end
  if o.replies then
    local answers = is_reply
      | header "Auto-Submitted":starts "auto-replied"
      | header "X-Autoreply":exists()
      | subject:regex [[(?i)^(auto(matic|matische)?[ -]?(reply|response|antwort)|out of (the )?office|abwesenheit)]]
    add("answers", is_auto & ~is_bounce & ~is_list & answers, o.replies)
  end
end
