package hypervisortest

// BootSector is a guest: the first sector of a disk for a PC with a BIOS. It prints BootGreeting on the first serial port,
// then waits: 'p' typed there or the power button makes it switch off by ACPI, 'r' reboot. It is busy all the while.
func BootSector() []byte {
	sector := make([]byte, 512)
	copy(sector, bootCode)
	copy(sector[len(bootCode):], BootGreeting+"\r\n\x00")
	sector[510], sector[511] = 0x55, 0xaa
	return sector
}

// BootGreeting is what the boot sector prints.
const BootGreeting = "HEARTH"

// bootCode is loaded at 0x7c00 in real mode. The ports are those of SeaBIOS's layout: the ACPI PM1 block at 0x600
// (status, enable, control), the first UART at 0x3f8.
var bootCode = []byte{
	0x31, 0xc0, // xor ax, ax
	0x8e, 0xd8, // mov ds, ax
	0xba, 0x02, 0x06, // mov dx, 0x602
	0xb8, 0x00, 0x01, // mov ax, 0x100      enable the power button
	0xef,             // out dx, ax
	0xbe, 0x51, 0x7c, // mov si, greeting
	// print:
	0xac,       // lodsb
	0x84, 0xc0, // test al, al
	0x74, 0x12, // jz poll
	0x88, 0xc4, // mov ah, al
	0xba, 0xfd, 0x03, // mov dx, 0x3fd
	// wait:
	0xec,       // in al, dx
	0xa8, 0x20, // test al, 0x20            room for a byte?
	0x74, 0xfb, // jz wait
	0xba, 0xf8, 0x03, // mov dx, 0x3f8
	0x88, 0xe0, // mov al, ah
	0xee,       // out dx, al
	0xeb, 0xe9, // jmp print
	// poll:
	0xba, 0x00, 0x06, // mov dx, 0x600
	0xed,             // in ax, dx
	0xf6, 0xc4, 0x01, // test ah, 1         power button?
	0x75, 0x1a, // jnz off
	0xba, 0xfd, 0x03, // mov dx, 0x3fd
	0xec,       // in al, dx
	0xa8, 0x01, // test al, 1               a byte typed?
	0x74, 0xef, // jz poll
	0xba, 0xf8, 0x03, // mov dx, 0x3f8
	0xec,      // in al, dx
	0x3c, 'p', // cmp al, 'p'
	0x74, 0x0a, // je off
	0x3c, 'r', // cmp al, 'r'
	0x75, 0xe3, // jne poll
	0xb0, 0xfe, // mov al, 0xfe
	0xe6, 0x64, // out 0x64, al             reset by the keyboard controller
	0xeb, 0xdd, // jmp poll
	// off:
	0xba, 0x04, 0x06, // mov dx, 0x604
	0xb8, 0x00, 0x20, // mov ax, 0x2000     sleep, S5
	0xef,       // out dx, ax
	0xeb, 0xd4, // jmp poll
}
