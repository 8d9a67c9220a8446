// A contender for filelatch-compare: proper-lockfile and write-file-atomic. Commands as in src/worker.rs.
'use strict'
const fs = require('fs')
const path = require('path')
const readline = require('readline')
const lockfile = require('proper-lockfile')
const writeFileAtomic = require('write-file-atomic')

const doc = path.join(process.argv[2], 'doc.json')
const now = () => process.hrtime.bigint()
// Polls as fast as it can be told to; its defaults (no retry at all, or 1 s and more) are far slower.
const options = { retries: { forever: true, retries: 5, factor: 1, minTimeout: 1, maxTimeout: 3 } }

async function update (record) {
  const release = await lockfile.lock(doc, options)
  const value = JSON.parse(fs.readFileSync(doc, 'utf8'))
  value.records[record].count += 1
  await writeFileAtomic(doc, JSON.stringify(value, null, 2))
  await release()
}

async function many (begin, seconds, tasks, first, counter = null) {
  const end = begin + BigInt(Math.round(seconds * 1e9))
  const one = async (index) => {
    const waits = []
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, Number(begin - now()) / 1e6)))
    let before = now()
    while (before < end) {
      let release
      if (first === null) release = await lockfile.lock(doc, options)
      else await update(first + index)
      waits.push(Number(now() - before))
      if (counter !== null) {
        const bytes = Buffer.alloc(8)
        fs.readSync(counter, bytes, 0, 8, 0)
        bytes.writeBigUInt64LE(bytes.readBigUInt64LE() + 1n)
        fs.writeSync(counter, bytes, 0, 8, 0)
      }
      if (release) await release()
      before = now()
    }
    waits.sort((a, b) => a - b)
    const at = (p) => waits[Math.min(waits.length - 1, Math.floor(p * waits.length))]
    return `${waits.length} ${at(0.5)} ${at(0.99)} ${at(1)}`
  }
  return 'done ' + (await Promise.all([...Array(tasks).keys()].map(one))).join(' ')
}

let release
async function answer (words) {
  switch (words[0]) {
    case 'lock':
      release = await lockfile.lock(doc, options)
      return `locked ${now()}`
    case 'unlock': {
      const before = now()
      await release()
      return `unlocked ${before}`
    }
    case 'loop':
      return many(BigInt(words[1]), Number(words[2]), Number(words[3]), null)
    case 'count': {
      const counter = fs.openSync(path.join(process.argv[2], 'counter'), fs.constants.O_RDWR | fs.constants.O_CREAT)
      return many(BigInt(words[1]), Number(words[2]), Number(words[3]), null, counter)
    }
    default:
      return many(BigInt(words[1]), Number(words[2]), Number(words[3]), Number(words[4]))
  }
}

console.log('ready')
let last = Promise.resolve()
readline.createInterface({ input: process.stdin })
  .on('line', (line) => { last = last.then(() => answer(line.split(' '))).then(console.log) })
  .on('close', () => process.exit(0))
