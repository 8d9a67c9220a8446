-- Each thread has one connection and a file of its own, and says which version it replaces.
local counter = 0
function setup(thread)
    thread:set("id", counter)
    counter = counter + 1
end

function init(args)
    path = os.getenv("BODY_PATH") .. id .. ".txt" .. os.getenv("QUERY")
    n = 0
    tag = "*"
end

function request()
    n = n + 1
    return wrk.format("PUT", path, { ["If-Match"] = tag }, string.format("%08d", n) .. string.rep("x", 1016))
end

function response(status, headers, body)
    tag = headers["etag"] or headers["ETag"] or tag
end
