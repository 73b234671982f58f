/**
 * Node's HTTP module, not by `import`: that evaluates all that the module offers, a whole WebSocket client among
 * it, and costs each start 40 ms.
 */
export const http: typeof import('node:http') = process.getBuiltinModule('node:http')
