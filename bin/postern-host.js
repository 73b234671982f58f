#!/usr/bin/env node
import { launch } from './launch.js'

await launch('host/main.ts', 'postern-host.js')
