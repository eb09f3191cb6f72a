/* What a report page is made of: plain data, so that whoever measures needs to know nothing of HTML. */

interface Titled {
  readonly title: string;
  /** What the picture shows and how to read it, in a sentence or two. */
  readonly note?: string | undefined;
}

export interface TableSection extends Titled {
  readonly kind: 'table';
  readonly columns: readonly { readonly name: string; readonly align?: 'left' | 'right' }[];
  /** As they are to be shown. */
  readonly rows: readonly (readonly string[])[];
}

export interface ConfusionSection extends Titled {
  readonly kind: 'confusion';
  readonly labels: readonly string[];
  /** `[truth][predicted]`, in the order of `labels`. */
  readonly counts: readonly (readonly number[])[];
}

export interface ReliabilityBin {
  readonly count: number;
  /** Means over the bin; NaN where it is empty. */
  readonly confidence: number;
  readonly accuracy: number;
}

export interface ReliabilitySection extends Titled {
  readonly kind: 'reliability';
  /** Bins of equal width over [0, 1]. */
  readonly series: readonly { readonly name: string; readonly bins: readonly ReliabilityBin[] }[];
}

export interface CurveSection extends Titled {
  readonly kind: 'curve';
  readonly x: string;
  readonly y: string;
  /** What the diagonal is, such as chance in a ROC; '' draws none. */
  readonly diagonal: string;
  /** Both axes run over [0, 1]. */
  readonly series: readonly {
    readonly name: string;
    readonly points: readonly (readonly [number, number])[];
  }[];
}

export interface BarsSection extends Titled {
  readonly kind: 'bars';
  /** Shares in [0, 1], one group of bars a label. */
  readonly series: readonly string[];
  readonly groups: readonly { readonly label: string; readonly values: readonly number[] }[];
}

export interface MapSection extends Titled {
  readonly kind: 'map';
  /** Side by side; the same label has the same colour in each. */
  readonly maps: readonly {
    readonly name: string;
    readonly points: readonly { readonly x: number; readonly y: number; readonly label: string }[];
  }[];
}

export interface Picture {
  readonly caption: string;
  /** A WebP or JPEG thumbnail; absent where the image is not at hand. */
  readonly image?: { readonly bytes: Uint8Array; readonly type: 'image/webp' | 'image/jpeg' } | undefined;
  /** `subject` is what the row is about; `same` and `other` compare a neighbour's label with its truth. */
  readonly mark: 'subject' | 'same' | 'other';
}

export interface PicturesSection extends Titled {
  readonly kind: 'pictures';
  readonly rows: readonly { readonly caption: string; readonly pictures: readonly Picture[] }[];
}

export type Section =
  | TableSection
  | ConfusionSection
  | ReliabilitySection
  | CurveSection
  | BarsSection
  | MapSection
  | PicturesSection;

export interface ReportPage {
  readonly title: string;
  /** The command and data in a line. */
  readonly subtitle: string;
  /** Headline figures. */
  readonly facts: readonly { readonly name: string; readonly value: string }[];
  readonly sections: readonly Section[];
}
