/**
 * A shared library whose initialiser writes to address 0: loading it is a real fault of the processor in the process
 * that loads it, not a signal that somebody sent. ELF for Linux, by hand, so that no compiler is needed.
 */
export function faultingLibrary(): Buffer {
  const machine = machines[process.arch];
  if (machine === undefined) throw new Error(`Expected x64 or arm64 but received ${process.arch}`);
  const programHeaders = 3;
  const codeAt = 64 + 56 * programHeaders;
  const dynamicAt = codeAt + 16;
  // Tag and value each; the string and symbol tables are empty.
  const dynamic = [
    [12, codeAt], // DT_INIT
    [5, dynamicAt + 96], // DT_STRTAB
    [6, dynamicAt + 96], // DT_SYMTAB
    [10, 1], // DT_STRSZ
    [11, 24], // DT_SYMENT
    [0, 0],
  ].flat();
  const size = dynamicAt + 96 + 24;
  const file = Buffer.alloc(size);
  file.write('\x7fELF\x02\x01\x01', 'latin1');
  file.writeUInt16LE(3, 16); // a shared object
  file.writeUInt16LE(machine.id, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(64n, 32); // program headers
  for (const [at, value] of [64, 56, programHeaders, 64].entries()) file.writeUInt16LE(value, 52 + 2 * at);
  const segments = [
    { type: 1, flags: 7, at: 0, bytes: size }, // PT_LOAD
    { type: 2, flags: 6, at: dynamicAt, bytes: 96 }, // PT_DYNAMIC
    { type: 0x6474e551, flags: 6, at: 0, bytes: 0 }, // PT_GNU_STACK: a stack that is not executable
  ];
  for (const [i, { type, flags, at, bytes }] of segments.entries()) {
    const header = 64 + 56 * i;
    file.writeUInt32LE(type, header);
    file.writeUInt32LE(flags, header + 4);
    // Offset, virtual and physical address, size in the file and in memory, alignment.
    for (const [j, value] of [at, at, at, bytes, bytes, 4096].entries()) {
      file.writeBigUInt64LE(BigInt(value), header + 8 + 8 * j);
    }
  }
  machine.code.copy(file, codeAt);
  for (const [i, value] of dynamic.entries()) file.writeBigUInt64LE(BigInt(value), dynamicAt + 8 * i);
  return file;
}

const machines: Partial<Record<NodeJS.Architecture, { id: number; code: Buffer }>> = {
  // xor eax, eax; mov [rax], eax; ret
  x64: { id: 62, code: Buffer.from('31c08900c3', 'hex') },
  // mov x0, #0; str x0, [x0]; ret
  arm64: { id: 183, code: Buffer.from('000080d2000000f9c0035fd6', 'hex') },
};
