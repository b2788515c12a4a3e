-- Mail of lists and newsletters into folders.
--
--   local newsletters = require "mailruled.newsletters"
--   newsletters {
--     folder = "Newsletters",                          -- for what no other line names; false: leave it
--     lists = {                                        -- by List-Id, as its brackets have it
--       ["announce.example.org"] = "Lists/Announce",
--     },
--     per_list = true,                                 -- one folder a list: "Newsletters/announce.example.org"
--     from = { "news.example.com" },                   -- senders (addresses, domains) that do not say they are a list
--     except = from:domain "example.com",              -- a condition: these messages are left alone
--     account = "home", watch = "INBOX",               -- where the rules apply; default: every account, the inbox
--     name = "newsletters",                            -- what the rules' names begin with
--   }
--
-- A message counts as a newsletter if it has List-Id or List-Unsubscribe. Answers that came over a list are moved like
-- the rest of the list.

local options = require "mailruled.options"

local function sorted_ids(lists)
  local ids = {}
  for id in pairs(lists) do
    ids[#ids + 1] = id
  end
  table.sort(ids)
  return ids
end

return function(given)
  local o = options.read("mailruled.newsletters", given, {
    folder = { "string", "Newsletters", may_be_false = true },
    lists = { "table", {} },
    per_list = { "boolean", false },
    from = { "table", {} },
    except = { "userdata", nil, optional = true },
    account = { "string", nil, optional = true },
    watch = { "string", "INBOX" },
    name = { "string", "newsletters" },
  })
  local unless = o.except and ~o.except

  local function add(name, when, folder)
    rule(o.name .. ": " .. name) {
      account = o.account,
      folder = o.watch,
      when = options.both(when, unless),
      actions = { move(folder) },
    }
  end

  for _, id in ipairs(sorted_ids(o.lists)) do
    add(id, list_id:is(id), o.lists[id])
  end
  if not o.folder then
    return
  end
  if o.per_list then
    add("one folder a list", list_id:exists(), o.folder .. "/${list_id}")
  end
  add("lists", list_id:exists() | header "List-Unsubscribe":exists(), o.folder)
  if #o.from > 0 then
    add("senders", from:any_of(o.from), o.folder)
  end
end
