/** The named fields of a frame in the order of its bytes; of two with the same name the second is called "name#2". */
export class Fields {
  readonly values: Map<string, string> = new Map();

  add(name: string, value: string): void {
    let unique = name;
    for (let count = 2; this.values.has(unique); count++) unique = `${name}#${count}`;
    this.values.set(unique, value);
  }

  get(name: string): string {
    return this.values.get(name) ?? "";
  }

  /** A length that is right, or how much it is too long; a quote is cut, and its length says more than there is. */
  addLength(name: string, end: number, bytesEnd: number): void {
    this.add(name, end <= bytesEnd ? "right" : `${end - bytesEnd} bytes more than there are`);
  }

  /** `sum` is the checksum over a range that includes the field: 0 when it is right. */
  addChecksum(name: string, field: number, sum: number): void {
    this.add(name, sum === 0 ? "right" : field === 0 ? "none" : "wrong");
  }
}
