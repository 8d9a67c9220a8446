-- Each thread has one connection and a file of its own.
local counter = 0
function setup(thread)
    thread:set("id", counter)
    counter = counter + 1
end

function init(args)
    path = os.getenv("BODY_PATH") .. id .. ".txt"
    n = 0
end

function request()
    n = n + 1
    return wrk.format("PUT", path, nil, string.format("%08d", n) .. string.rep("x", 1016))
end
