-- Each request sets a key of its own in one document.
local counter = 0
function setup(thread)
    thread:set("id", counter)
    counter = counter + 1
end

function init(args)
    n = 0
    path = os.getenv("BODY_PATH")
    headers = { ["Content-Type"] = "application/merge-patch+json" }
end

function request()
    n = n + 1
    return wrk.format("PATCH", path, headers, string.format('{"k%d-%d":%d}', id, n % 32, n))
end
