/** What a request asks for, in the API's words. */
export type Operation = 'create' | 'read' | 'update' | 'patch' | 'delete' | 'list' | 'scan' | 'help'
