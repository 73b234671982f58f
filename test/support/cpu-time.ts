/** What some work costs this thread: unlike the clock, the same on a machine that is busy with other things. */

/** Milliseconds of the processor that the work took, of the thread that calls. */
export function cpuMilliseconds(work: () => void): number {
  const before = process.threadCpuUsage()
  work()
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1000
}
